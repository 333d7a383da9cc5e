package gatetest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// told is what a device was told, in order.
func (d *lwm2mDevice) told() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.orders)
}

func lwm2mOrder(do, path, value string) api.NewDownlink {
	return api.NewDownlink{Order: grid.Order{LwM2M: &grid.LwM2MOrder{Do: do, Path: path, Value: value}}}
}

func TestAnLwM2MDeviceIsToldWhenItIsHeardAfterAKillAndItsAnswersAreKept(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {listen: "+addr+", lwm2m: true}")
	g.start(t)
	g.put(t, lwm2mRegistry)
	d := newLwM2MDevice(message.TextPlain, map[string][]byte{"/19/0/0": []byte(`{"smoke.alarm":false}`), "/19/1/0": nil, "/3/0/4": nil, "/3/0/9": []byte("88")})
	d.connect(t, addr)
	d.register(t, "ep=Kitchen", "lt=86400", "lwm2m=1.1", "b=U", "Q")
	eventually(t, 20*time.Second, "the registration on disk", func() error {
		v, err := g.api.Peers(t.Context(), "coap.udp", api.Query{})
		if err == nil && !slices.ContainsFunc(v.Items, func(p grid.LinkHealth) bool { return p.Kind == grid.LwM2MPeer && p.Device == "ep:kitchen" }) {
			err = fmt.Errorf("it is not among %+v", v)
		}
		if b, read := os.ReadFile(filepath.Join(g.dir, "data", "lwm2m.json")); err == nil && !strings.Contains(string(b), "/19/0/0") {
			err = fmt.Errorf("lwm2m.json is %s, %v", b, read)
		}
		return err
	})
	g.Kill()
	g.start(t)

	waits := g.tell(t, "ep:kitchen", payloadOrder("ff10ff"))
	eventually(t, 20*time.Second, "the reason why it waits", func() error {
		if w, err := g.api.Downlink(t.Context(), waits.ID); err != nil || !strings.Contains(w.Error, "since the gateway started") {
			return fmt.Errorf("%+v, %v", w, err)
		}
		return nil
	})
	d.update(t)
	g.becomes(t, waits.ID, grid.DownlinkAcknowledged, 30*time.Second)
	g.becomes(t, g.tell(t, "ep:kitchen", lwm2mOrder("execute", "/3/0/4", "")).ID, grid.DownlinkAcknowledged, 30*time.Second)
	read := g.becomes(t, g.tell(t, "ep:kitchen", lwm2mOrder("read", "/3/0/9", "")).ID, grid.DownlinkAcknowledged, 30*time.Second)
	refused := g.becomes(t, g.tell(t, "ep:kitchen", lwm2mOrder("write", "/9/9/9", "1")).ID, grid.DownlinkFailed, 30*time.Second)
	if read.Answer != `"88"` || read.Way != "coap:coap" || !strings.Contains(refused.Error, "4.04 not found") {
		t.Errorf("read %+v, refused %+v", read, refused)
	}
	if got := d.told(); !slices.Equal(got, []string{"PUT /19/1/0 ff10ff", "POST /3/0/4 "}) {
		t.Errorf("the device was told %q", got)
	}
	g.Kill()
	g.start(t)
	for id, state := range map[string]grid.DownlinkState{waits.ID: grid.DownlinkAcknowledged, read.ID: grid.DownlinkAcknowledged, refused.ID: grid.DownlinkFailed} {
		if d, err := g.api.Downlink(t.Context(), id); err != nil || d.State != state {
			t.Errorf("after another kill %+v, %v", d, err)
		}
	}
	d.update(t)
	g.settled(t)
	if got := d.told(); len(got) != 2 {
		t.Errorf("told again: %q", got)
	}
	if _, _, _, quarantined, _ := sum(g.balanced(t)); quarantined != 0 {
		t.Errorf("%d quarantined", quarantined)
	}
}

func TestAPlainCoAPDeviceIsToldWhereItSpokeLast(t *testing.T) {
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {listen: "+addr+"}")
	g.start(t)
	g.put(t, lwm2mRegistry)
	waits := g.tell(t, "ep:kitchen", payloadOrder("01"))
	d := newLwM2MDevice(message.TextPlain, nil)
	d.connect(t, addr)
	got, err := d.conn.Post(t.Context(), "/up/ep:kitchen", message.AppJSON, strings.NewReader(`{"smoke.alarm":false}`))
	if err != nil {
		t.Fatalf("%v %v", got, err)
	}
	g.becomes(t, waits.ID, grid.DownlinkAcknowledged, 30*time.Second)
	if told := d.told(); !slices.Equal(told, []string{"PUT /down 01"}) {
		t.Errorf("the device was told %q", told)
	}
}
