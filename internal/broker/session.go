package broker

import (
	"context"
	"fmt"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// session is one connection's window of QoS 1 frames that wait to be durable.
type session struct {
	b     *Broker
	cl    *mochi.Client
	queue *intake.Queue[handle]
	after *session // the client's connection before this one; its frames go first
	done  chan struct{}
	buf   []byte // PUBACKs
}

// handle is what is left to do for a frame once it is durable.
type handle struct {
	id      uint16          // PUBACK
	forward *packets.Packet // to subscribers; nil when nobody listens
}

// session finds the window of a connection, or opens it with the first frame.
func (b *Broker) session(cl *mochi.Client) *session {
	if s, ok := b.sessions.Load(cl); ok {
		return s.(*session)
	}
	s := &session{b: b, cl: cl, done: make(chan struct{})}
	s.queue = intake.NewQueue(intake.Limits{Frames: b.cfg.Window, Bytes: b.cfg.WindowBytes, GiveUp: b.cfg.GiveUp}, &b.tally, s.stored, s.giveUp)
	b.mu.Lock()
	s.after = b.tails[cl.ID]
	b.tails[cl.ID] = s
	b.mu.Unlock()
	b.sessions.Store(cl, s)
	b.workers.Go(func() { s.run(b.ctx, b.in) })
	return s
}

// ended is called when a connection is gone. What it has brought is stored all the same:
// not every device sends again.
func (b *Broker) ended(cl *mochi.Client) {
	if s, ok := b.sessions.LoadAndDelete(cl); ok {
		s.(*session).queue.Close()
	}
}

func (s *session) run(ctx context.Context, in grid.Ingester) {
	defer close(s.done)
	if s.after != nil {
		select {
		case <-s.after.done:
		case <-ctx.Done():
		}
		s.after = nil
	}
	s.queue.Run(ctx, in)
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if s.b.tails[s.cl.ID] == s {
		delete(s.b.tails, s.cl.ID)
	}
}

// take adds a frame to the window. It waits while the window is full, so that the
// connection is not read: the publisher feels it as TCP back-pressure.
func (s *session) take(pk *packets.Packet) {
	if pk.FixedHeader.Dup && s.queue.Find(func(h handle) bool { return h.id == pk.PacketID }) {
		return // an impatient publisher: the one we have will be acknowledged
	}
	if s.cl.Properties.ProtocolVersion == 5 && s.queue.Held() >= int(s.b.server.Options.Capabilities.ReceiveMaximum) {
		s.b.tally.Fault("connection closed", fmt.Errorf("client %q sends more than the receive maximum of %d", s.cl.ID, s.b.server.Options.Capabilities.ReceiveMaximum))
		_ = s.b.server.DisconnectClient(s.cl, packets.ErrReceiveMaximum)
		return
	}
	f := s.b.frame(s.cl, pk)
	s.queue.Put(f, handle{id: pk.PacketID, forward: s.b.toForward(pk)})
}

// stored acknowledges durable frames, in one write. PUBACK is the same four bytes on
// MQTT 3.1.1 and 5. A write to a connection is atomic, so it cannot tear a packet of the server's.
func (s *session) stored(hs []handle) {
	buf := s.buf[:0]
	for _, h := range hs {
		buf = append(buf, packets.Puback<<4, 2, byte(h.id>>8), byte(h.id))
	}
	s.buf = buf
	if !s.cl.Closed() {
		if _, err := s.cl.Net.Conn.Write(buf); err == nil {
			s.b.tally.Acked(len(hs))
		}
	}
	for _, h := range hs {
		s.b.forward(h.forward)
	}
}

// giveUp closes the connection so that the publisher sends again.
func (s *session) giveUp(err error) {
	s.b.log.Warn("connection closed: its frames cannot be stored", "err", err, "in", s.cl.ID)
	if s.cl.Properties.ProtocolVersion == 5 {
		_ = s.b.server.DisconnectClient(s.cl, packets.ErrServerBusy)
	}
	s.cl.Stop(packets.ErrServerBusy)
}

// takeUnacked adds a QoS 0 frame to the one buffer for all.
func (b *Broker) takeUnacked(cl *mochi.Client, pk *packets.Packet) {
	b.enqueueUnacked(cl, pk, b.toForward(pk))
}

func (b *Broker) enqueueUnacked(cl *mochi.Client, pk *packets.Packet, forward *packets.Packet) {
	f := b.frame(cl, pk)
	f.Flags |= grid.Unacknowledged
	if !b.unacked.Offer(f, forward) {
		b.tally.Lost(1)
	}
}

// frame makes the frame of a PUBLISH. The retain flag of a publisher asks to keep the
// message for later subscribers; the message itself is news, so the frame is not Retained.
// The topic shares memory with the whole packet, so who remembers it must have a copy.
func (b *Broker) frame(cl *mochi.Client, pk *packets.Packet) grid.Frame {
	var flags grid.FrameFlags
	if pk.FixedHeader.Dup {
		flags |= grid.Redelivered
	}
	f := b.wire.Frame(strings.Clone(pk.TopicName), pk.Payload, flags)
	b.tally.Arrived(&f)
	b.spoke(cl, &f)
	return f
}

// toForward keeps a packet for subscribers; nil when nobody would see it.
func (b *Broker) toForward(pk *packets.Packet) *packets.Packet {
	if !pk.FixedHeader.Retain && !b.fanOut.Load() {
		return nil
	}
	out := *pk
	return &out
}
