package serial

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

func TestOrdersAreWrittenToASlaveOfPymodbus(t *testing.T) {
	near, far, _ := nullModem(t)
	_, ask, kill := pymodbus(t, far, 17)
	var in gatetest.Inbox
	tr, _ := start(t, Config{Name: "riser", Path: near, Baud: 19200, Protocol: ModbusRTU, Heartbeat: time.Hour, Slaves: []Slave{{Address: 17, Polls: []Poll{
		{Function: 3, Start: 3, Count: 2, Every: time.Hour},
		{Function: 1, Start: 0, Count: 8, Every: time.Hour},
	}}}}, &in)
	in.Wait(t, 2)
	send := func(what string, address uint16, values ...uint16) (grid.Sent, error) {
		return tr.Downlink(t.Context(), modbusOrder("modbus:riser/17", what, address, values...), grid.Frame{})
	}
	for i, c := range []struct {
		what, question, holds, answer, polled string
		address                               uint16
		values                                []uint16
	}{
		{"register", "show register 4 1", "register 4 513", "unit 17, function 6: register 4 is 513 (110600040201", "11 03 04 0000 0201", 4, []uint16{513}},
		{"register", "show register 3 2", "register 3 7 65535", "unit 17, function 16: registers 3 to 4 are written (111000030002", "11 03 04 0007 ffff", 3, []uint16{7, 65535}},
		{"coil", "show coil 5 1", "coil 5 1", "unit 17, function 5: coil 5 is 1 (11050005ff00", "11 01 01 20", 5, []uint16{1}},
		{"coil", "show coil 5 1", "coil 5 0", "unit 17, function 5: coil 5 is 0 (110500050000", "11 01 01 00", 5, []uint16{0}},
		{"coil", "show coil 0 10", "coil 0 1 0 1 1 0 0 0 0 0 1", "unit 17, function 15: coils 0 to 9 are written (110f0000000a", "11 01 01 0d", 0, []uint16{1, 0, 1, 1, 0, 0, 0, 0, 0, 1}},
	} {
		sent, err := send(c.what, c.address, c.values...)
		if err != nil || sent.State != grid.DownlinkAcknowledged || !strings.HasPrefix(sent.Answer, c.answer) {
			t.Errorf("%s %d: %+v, %v: want %s…", c.what, c.address, sent, err, c.answer)
		}
		if got := ask(c.question); got != c.holds {
			t.Errorf("the slave holds %s: want %s", got, c.holds)
		}
		// Its poll is due in an hour, and goes at once.
		if f := in.Wait(t, 3+i)[2+i]; !strings.HasPrefix(string(f.Raw[8:]), hexed(c.polled)) {
			t.Errorf("polled %x: want %s", f.Raw[8:], c.polled)
		}
	}
	if sent, err := send("register", 900, 1); grid.CodeOf(err) != grid.Conflict || !strings.Contains(fmt.Sprint(err), "modbus:riser/17 refuses: exception '2' (illegal data address), function '6'") {
		t.Errorf("a register that is not there: %+v, %v", sent, err)
	}
	kill()
	for range silentAfter {
		if sent, err := send("coil", 5, 1); !mayHaveBeenSent(err) || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("nobody there: %+v, %v", sent, err)
		}
	}
	if sent, err := send("coil", 5, 1); grid.CodeOf(err) != grid.Unavailable || errors.Is(err, grid.ErrMayHaveBeenSent) || !strings.Contains(err.Error(), "modbus:riser/17 does not answer") {
		t.Errorf("known to be silent: %+v, %v", sent, err)
	}
}

func TestTextOfAPortGoesOutBeforeTheDeviceWasHeard(t *testing.T) {
	c := plug(t)
	tr, _ := start(t, Config{Name: "panel", Path: c.path, Protocol: Lines}, &gatetest.Inbox{})
	isUp(t, tr)
	if got := fmt.Sprintln(tr.Slaves(), tr.Path(), tr.Orders()); got != "[line:panel] serial:panel [payload]\n" {
		t.Errorf("got %s", got)
	}
	gatetest.Eventually(t, "the order to be taken", func() bool {
		sent, err := tr.Downlink(t.Context(), payloadOrder("line:panel", "reset"), grid.Frame{})
		return err == nil && sent.NoAck
	})
	gatetest.Eventually(t, "the line on the wire", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return string(c.got) == "reset\r\n"
	})
}
