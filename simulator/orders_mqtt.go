package simulator

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// orderTopics are where a gateway tells devices something: natively, and by network servers.
var orderTopics = [...]string{"gridgate/down/#", "application/" + application + "/device/+/command/down", "v3/" + theThingsApplication + "@" + theThingsTenant + "/devices/+/down/push"}

// Orders is what devices behind a broker listen by: those that subscribe themselves, and network
// servers, which say that a gateway has sent an order, and of a confirmed one whether the device
// acknowledged it. The radio acknowledges, whatever the device makes of it.
type Orders struct {
	broker Broker
	client string
	city   *City
	ready  chan struct{} // closed when it has subscribed for the first time
	once   sync.Once

	mu   sync.Mutex // of writes
	id   uint16
	down uint32
}

// NewOrders makes a listener for the devices of a city.
func NewOrders(b Broker, client string, city *City) *Orders {
	return &Orders{broker: b, client: client, city: city, ready: make(chan struct{})}
}

// Ready is closed when it listens.
func (o *Orders) Ready() <-chan struct{} { return o.ready }

// Run listens until ctx is done.
func (o *Orders) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		conn, r, err := o.broker.dial(ctx, o.client, 30*time.Second)
		if err == nil {
			o.serve(ctx, conn, r)
		} else if c := grid.CodeOf(err); c == grid.Unauthorized || c == grid.Invalid {
			return err
		}
		if sleep(ctx, 200*time.Millisecond+rand.N(300*time.Millisecond)) != nil {
			return nil
		}
	}
	return nil
}

// serve listens on one connection until it breaks.
func (o *Orders) serve(ctx context.Context, conn net.Conn, r *bufio.Reader) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	wg.Go(func() {
		for sleep(ctx, 15*time.Second) == nil {
			if o.write(conn, []byte{0xC0, 0}) != nil {
				return
			}
		}
	})
	body := []byte{0, 1}
	for _, t := range orderTopics {
		body = append(appendString(body, t), 1)
	}
	if o.write(conn, append(appendLength([]byte{0x82}, len(body)), body...)) != nil {
		return
	}
	for {
		conn.SetReadDeadline(time.Now().Add(60 * time.Second))
		first, err := r.Peek(1)
		if err != nil {
			return
		}
		qos := first[0] >> 1 & 3
		kind, body, err := readPacket(r)
		if err != nil {
			return
		}
		switch kind {
		case 0x90: // SUBACK
			o.once.Do(func() { close(o.ready) })
		case 0x30:
			if o.told(conn, qos, body) != nil {
				return
			}
		}
	}
}

func (o *Orders) write(conn net.Conn, b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, err := conn.Write(b)
	return err
}

func (o *Orders) publish(conn net.Conn, topic string, v any) error {
	o.mu.Lock()
	o.id = max(o.id+1, 2)
	id := o.id
	o.mu.Unlock()
	return o.write(conn, appendPublish(nil, id, false, topic, plainJSON(v)))
}

// told takes an order, acknowledges its message, and says what a network server says of it.
func (o *Orders) told(conn net.Conn, qos byte, body []byte) error {
	if len(body) < 2 || len(body) < 2+int(binary.BigEndian.Uint16(body)) {
		return errors.New("a message without a topic")
	}
	n := 2 + int(binary.BigEndian.Uint16(body))
	topic, payload := string(body[2:n]), body[n:]
	if qos > 0 {
		if len(payload) < 2 {
			return errors.New("a message without an id")
		}
		if err := o.write(conn, []byte{0x40, 2, payload[0], payload[1]}); err != nil {
			return err
		}
		payload = payload[2:]
	}
	if rest, native := strings.CutPrefix(topic, "gridgate/down/"); native {
		id, port, _ := strings.Cut(rest, "/")
		if plain, err := url.PathUnescape(id); err == nil {
			id = plain
		}
		p, _ := strconv.Atoi(port) // none: it has no port
		_ = o.city.Obey(grid.Identity(id), Order{Port: p, Payload: payload})
		return nil
	}
	level := strings.Split(topic, "/")
	if level[0] == "v3" {
		return o.theThings(conn, strings.TrimSuffix(topic, "/push"), level[3], payload)
	}
	return o.chirpStack(conn, strings.TrimSuffix(topic, "command/down")+"event/", level[3], payload)
}

// chirpStack: txack when a gateway has sent it, ack of a confirmed one.
func (o *Orders) chirpStack(conn net.Conn, at, eui string, payload []byte) error {
	var c struct {
		ID        string
		Confirmed bool
		FPort     int
		Data      []byte
	}
	if json.Unmarshal(payload, &c) != nil {
		return nil // the network server would say so in its log
	}
	o.down++
	about := map[string]any{"time": time.Now().UTC().Format(time.RFC3339Nano), "deviceInfo": deviceInfo{TenantID: tenant, ApplicationID: application, DevEUI: eui}, "queueItemId": c.ID, "fCntDown": o.down}
	if err := o.publish(conn, at+"txack", about); err != nil {
		return err
	}
	err := o.city.Obey(grid.Identity("eui:"+eui), Order{Port: c.FPort, Payload: c.Data})
	if !c.Confirmed {
		return nil
	}
	about["deduplicationId"], about["acknowledged"] = c.ID, grid.CodeOf(err) != grid.NotFound // who is not there acknowledges nothing
	return o.publish(conn, at+"ack", about)
}

// theThings: sent, and ack of a confirmed one.
func (o *Orders) theThings(conn net.Conn, at, device string, payload []byte) error {
	var c struct{ Downlinks []json.RawMessage }
	if json.Unmarshal(payload, &c) != nil {
		return nil
	}
	for _, raw := range c.Downlinks {
		var order struct {
			Port      int    `json:"f_port"`
			Payload   string `json:"frm_payload"`
			Confirmed bool   `json:"confirmed"`
		}
		if json.Unmarshal(raw, &order) != nil {
			continue
		}
		data, _ := base64.StdEncoding.DecodeString(order.Payload) // what cannot be read is an order that nobody knows
		i, there := o.city.find(device)
		if !there {
			continue
		}
		d := o.city.Device(i)
		ids := map[string]any{"device_id": device, "dev_eui": upper(d.EUI)}
		if err := o.publish(conn, at+"/sent", map[string]any{"end_device_ids": ids, "downlink_sent": raw}); err != nil {
			return err
		}
		err := o.city.Obey(d.Identity, Order{Port: order.Port, Payload: data})
		if order.Confirmed && grid.CodeOf(err) != grid.NotFound {
			if err := o.publish(conn, at+"/ack", map[string]any{"end_device_ids": ids, "downlink_ack": raw}); err != nil {
				return err
			}
		}
	}
	return nil
}
