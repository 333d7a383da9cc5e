package mqtt

import (
	"context"
	"errors"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"gridgate/internal/grid"
)

// Downlink publishes d at QoS 1 and waits for the PUBACK: then the broker has it, and it is
// sent. What the network or the device says of it later comes as frames. It is not called
// from the handler of messages, which must not wait for Paho.
func (t *Transport) Downlink(ctx context.Context, d *grid.Downlink, way grid.Frame) (grid.Sent, error) {
	if t.cfg.Downlink == nil {
		return grid.Sent{}, grid.Errorf(grid.Invalid, "mqtt %s takes no downlinks", t.cfg.Name)
	}
	topic, payload, ref, err := t.cfg.Downlink(d, way)
	if err != nil {
		return grid.Sent{}, err
	}
	if ref == "" && d.Confirm {
		return grid.Sent{}, grid.Errorf(grid.Invalid, "mqtt %s: nothing that comes back for %s says which downlink it acknowledges: want one without confirm", t.cfg.Name, topic)
	}
	l := t.link.Load()
	if l == nil || !l.ready.Load() {
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "mqtt %s: not connected to broker %s", t.cfg.Name, t.peer)
	}
	if l.stuck(ctx) {
		return grid.Sent{}, grid.Errorf(grid.Unavailable, "mqtt %s: frames wait to be stored: want the journal to catch up first", t.cfg.Name)
	}
	if err := l.publish(ctx, topic, payload); err != nil {
		return grid.Sent{}, err
	}
	return grid.Sent{State: grid.DownlinkSent, Ref: ref, Answer: "the broker has it, on " + topic, NoAck: ref == ""}, nil
}

// stuck reports whether the handler waits for room in the window, and not just for a moment:
// Paho would bring the PUBACK only after the messages that wait.
func (l *link) stuck(ctx context.Context) bool {
	for range 10 {
		if !l.waiting.Load() {
			return false
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return true
		}
	}
	return true
}

// publish waits for the PUBACK, and no longer than the connection lasts: Paho leaves open for
// ever what a lost connection takes with it.
func (l *link) publish(ctx context.Context, topic string, payload []byte) error {
	within := time.NewTimer(l.t.cfg.ConnectTimeout)
	defer within.Stop()
	tok := l.client.Publish(topic, 1, false, payload)
	why := ""
	select {
	case <-tok.Done():
	case <-l.over:
		why = "the connection broke before the PUBACK"
	case <-within.C:
		why = "no PUBACK in " + l.t.cfg.ConnectTimeout.String()
	case <-ctx.Done():
		why = "no PUBACK in time"
	}
	select {
	case <-tok.Done():
		err := tok.Error()
		if err == nil {
			return nil
		}
		if errors.Is(err, paho.ErrNotConnected) {
			return grid.Errorf(grid.Unavailable, "mqtt %s: not connected to broker %s", l.t.cfg.Name, l.t.peer)
		}
		why = err.Error()
	default:
	}
	return grid.Errorf(grid.Unavailable, "mqtt %s: publish %s: %s: %w", l.t.cfg.Name, topic, why, grid.ErrMayHaveBeenSent)
}
