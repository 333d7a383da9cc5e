package serial

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// dtuCall is a serial server that calls us, with the units of b behind it.
func dtuCall(t *testing.T, tr *Transport, b *fieldBus, says string) net.Conn {
	t.Helper()
	isUp(t, tr)
	c, err := net.Dial("tcp", tr.Status().Port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write([]byte(says)); err != nil {
		t.Fatal(err)
	}
	go b.serve(c)
	return c
}

func newBusOf(values map[byte][]byte) *fieldBus {
	return &fieldBus{values: values, asked: map[byte]int{}}
}

func behind(dtu string, address byte) Slave {
	s := one(address)
	s.DTU = dtu
	return s
}

func TestSlavesBehindASerialServerThatCallsUsAreAskedAndWrittenTo(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{Name: "pits", Listen: "tcp://127.0.0.1:0", Protocol: ModbusRTU, Slaves: []Slave{one(7)}}, &in)
	isUp(t, tr)
	if _, err := tr.Downlink(t.Context(), modbusOrder("modbus:pits/7", "coil", 1, 1), grid.Frame{}); grid.CodeOf(err) != grid.Unavailable {
		t.Errorf("before it calls: %v", err)
	}
	if p := tr.Peers(""); len(p) != 1 || p[0].Up || p[0].LastError != "its serial server is not connected" || p[0].Since.IsZero() {
		t.Errorf("before it calls: %+v", p)
	}
	c := dtuCall(t, tr, newBusOf(map[byte][]byte{7: {0, 5}}), "hello, I am a modem\r\n")
	f := in.Wait(t, 1)[0]
	if f.Identity != "modbus:pits/7" || f.Transport != "tcp" || f.Source != "pits" || f.Address != "7" || f.Flags != grid.Unacknowledged {
		t.Errorf("got %+v", f)
	}
	gatetest.Eventually(t, "health", func() bool {
		p := tr.Peers("")
		return len(p) == 2 && p[0].Up && p[0].Kind == grid.SlavePeer && p[1].Up && p[1].Kind == grid.ConnectionPeer && p[1].Name == c.LocalAddr().String()
	})
	if sent, err := tr.Downlink(t.Context(), modbusOrder("modbus:pits/7", "coil", 1, 1), grid.Frame{}); err != nil || sent.State != grid.DownlinkAcknowledged {
		t.Errorf("written: %+v, %v", sent, err)
	}
	_ = c.Close()
	gatetest.Eventually(t, "it to be gone", func() bool { p := tr.Peers(""); return len(p) == 1 && !p[0].Up })
	if !tr.Status().Up || !tr.Links()[0].Up {
		t.Error("the listener went with it")
	}
}

func TestSerialServersAreToldApartByWhatTheyCallThemselves(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{
		Name: "pits", Listen: "tcp://127.0.0.1:0", Protocol: ModbusRTU, Register: `(?:IMEI=|^c0ffee)(\w+)`,
		Slaves: []Slave{behind("8601", 7), behind("8602", 7), behind("0102ff", 7)},
	}, &in)
	values := func(v byte) map[byte][]byte { return map[byte][]byte{7: {0, v}} }
	first := dtuCall(t, tr, newBusOf(values(1)), "AT+IMEI=8601\r\n")
	dtuCall(t, tr, newBusOf(values(2)), "PING") // its heartbeat comes before its name
	dtuCall(t, tr, newBusOf(values(3)), "\xc0\xff\xee\x01\x02\xff")
	_, err := first.Write([]byte("PING")) // a heartbeat is no answer and does no harm
	if err != nil {
		t.Fatal(err)
	}
	saw := func(id grid.Identity, v byte) {
		t.Helper()
		gatetest.Eventually(t, string(id), func() bool {
			return slices.ContainsFunc(in.Frames(), func(f grid.Frame) bool { return f.Identity == id && f.Raw[12] == v })
		})
	}
	saw("modbus:pits/8601/7", 1)
	saw("modbus:pits/0102ff/7", 3)
	for _, f := range in.Frames() {
		if f.Identity == "modbus:pits/8602/7" {
			t.Errorf("a frame of one that has not said its name: %+v", f)
		}
	}
	// The same calls again, and nobody has heard that the first call is over.
	dtuCall(t, tr, newBusOf(values(9)), "AT+IMEI=8601\r\n")
	saw("modbus:pits/8601/7", 9)
	gatetest.Eventually(t, "the first call to be over", func() bool { return len(tr.Peers("")) == 3+3 })
	if e := tr.Links()[0].LastError; !strings.Contains(e, "the same serial server has called again") {
		t.Errorf("health does not say so: %q", e)
	}
	peers := fmt.Sprint(tr.Peers(""))
	if !strings.Contains(peers, "serial server 8601") || !strings.Contains(peers, "serial server 0102ff") {
		t.Errorf("health does not name them: %s", peers)
	}

	stranger := dtuCall(t, tr, newBusOf(values(4)), "AT+IMEI=9999\r\n")
	_ = stranger.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := stranger.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("a stranger is asked: %d bytes, %v", n, err)
	}
	gatetest.Eventually(t, "the stranger to be named", func() bool { return strings.Contains(tr.Links()[0].LastError, `calls itself "9999"`) })
	babbler := dtuCall(t, tr, newBusOf(values(4)), strings.Repeat("x", 4096))
	_ = babbler.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := babbler.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("a babbler is kept: %d bytes, %v", n, err)
	}
}

func TestCallerThatBringsNoAnswersIsLetGo(t *testing.T) {
	tr, _ := start(t, Config{Name: "pits", Listen: "tcp://127.0.0.1:0", Protocol: ModbusRTU, ResponseTimeout: 20 * time.Millisecond, Slaves: []Slave{one(7)}}, &gatetest.Inbox{})
	isUp(t, tr)
	c, err := net.Dial("tcp", tr.Status().Port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	noise := make([]byte, 4096)
	for err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(20 * time.Second))
		_, err = c.Write(noise)
	}
	gatetest.Eventually(t, "it to be let go", func() bool { return tr.Links()[0].Peers == 1 })
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Errorf("noise is taken for ever: %v", err)
	}
}

func TestSerialServersThatCannotBeToldApartAreRefused(t *testing.T) {
	for want, cfg := range map[string]Config{
		`slaves[0].dtu is "": want the name`:           {Register: "(x)", Slaves: []Slave{one(1)}},
		`slaves[0].dtu is "x": want the name`:          {Slaves: []Slave{behind("x", 1)}},
		`slaves[0].dtu is "A/b": want small letters`:   {Register: "(x)", Slaves: []Slave{behind("A/b", 1)}},
		`slaves[1]: modbus:a/x/1 is there already`:     {Register: "(x)", Slaves: []Slave{behind("x", 1), behind("x", 1)}},
		`register is "x": want a regular expression w`: {Register: "x", Slaves: []Slave{behind("x", 1)}},
	} {
		cfg.Name, cfg.Protocol, cfg.Listen = "a", ModbusRTU, "tcp://127.0.0.1:1"
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v: want %q", err, want)
		}
	}
}
