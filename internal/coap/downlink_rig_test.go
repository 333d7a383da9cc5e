package coap

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func lwm2mOrder(device, do, path, value string) *grid.Downlink {
	return &grid.Downlink{ID: "d", Device: grid.Identity(device), Order: grid.Order{LwM2M: &grid.LwM2MOrder{Do: do, Path: path, Value: value}}}
}

func payloadOrder(device, payload string) *grid.Downlink {
	return &grid.Downlink{ID: "d", Device: grid.Identity(device), Order: grid.Order{Payload: &grid.PayloadOrder{Hex: hex.EncodeToString([]byte(payload))}}}
}

// told is what became of an order.
type told struct {
	sent grid.Sent
	err  error
}

// tell gives the gateway an order and returns where its outcome will come.
func tell(t testing.TB, tr *Transport, d *grid.Downlink) <-chan told {
	return tellFor(t.Context(), tr, d)
}

func tellFor(ctx context.Context, tr *Transport, d *grid.Downlink) <-chan told {
	out := make(chan told, 1)
	go func() {
		sent, err := tr.Downlink(ctx, d, grid.Frame{Transport: "coap", Source: "coap"})
		out <- told{sent, err}
	}()
	return out
}

func outcomeOf(t testing.TB, out <-chan told) told {
	t.Helper()
	select {
	case got := <-out:
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("the order has no outcome")
		return told{}
	}
}

// ask is a request that a device by hand was sent.
func (d *device) asked() message.Message {
	d.t.Helper()
	m, ok := d.receive(10 * time.Second)
	if !ok {
		d.t.Fatal("nothing is asked")
	}
	return m
}

// answers a request at once, with its acknowledgement.
func (d *device) answers(q message.Message, code codes.Code, payload string, options ...message.Option) {
	d.t.Helper()
	d.send(msg{typ: message.Acknowledgement, code: code, id: q.MessageID, token: string(q.Token), payload: payload, options: options})
}

// registers registers without objects that are read.
func (d *device) registers(query string, links string) {
	d.t.Helper()
	got := d.ask(msg{typ: message.Confirmable, code: codes.POST, id: 1, token: "r", path: "rd", query: strings.Split(query, "&"), payload: links}, codes.Created)
	d.place, _ = got.Options.LocationPath()
	d.place = strings.TrimPrefix(d.place, "/")
}

// wakes sends an update while the journal is slow, and returns once the gateway has it.
func (d *device) wakes(tr *Transport, in *gatetest.Inbox) (release func()) {
	release = in.Stall()
	before := tr.Status().Waiting
	d.send(msg{typ: message.Confirmable, code: codes.POST, id: 2, token: "u", path: d.place})
	gatetest.Eventually(d.t, "the update", func() bool { return tr.Status().Waiting > before })
	return release
}

// shape is a request in short: PUT /19/1/0 ?port=1 ct=42 payload.
func shape(m message.Message) string {
	path, _ := m.Options.Path()
	s := m.Code.String() + " " + path
	queries, _ := m.Options.Queries()
	for _, q := range queries {
		s += " ?" + q
	}
	if ct, err := m.Options.ContentFormat(); err == nil {
		s += " ct=" + strconv.Itoa(int(ct))
	}
	if v, err := m.Options.GetUint32(message.Block1); err == nil {
		b := readBlock(v)
		s += " block=" + strconv.Itoa(int(b.number)) + "/" + strconv.Itoa(b.size())
		if b.more {
			s += "+"
		}
	}
	if v, err := m.Options.GetUint32(message.Block2); err == nil {
		s += " want=" + strconv.Itoa(int(readBlock(v).number))
	}
	if len(m.Payload) > 40 {
		return s + " of " + strconv.Itoa(len(m.Payload)) + " bytes"
	}
	if printable(string(m.Payload)) {
		return strings.TrimSpace(s + " " + string(m.Payload))
	}
	return s + " x" + hex.EncodeToString(m.Payload)
}
