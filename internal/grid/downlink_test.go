package grid

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestOrderIsCheckedByItsKind(t *testing.T) {
	long := strings.Repeat("ff", maxDownlink+1)
	for _, c := range []struct {
		order, say string // "": it is well
	}{
		{`{}`, "exactly one"},
		{`{"payload":{"hex":"ff"},"gb26875":{"do":"set_clock"}}`, "exactly one"},
		{`{"payload":{"hex":"FF10ff","port":223}}`, ""},
		{`{"payload":{"hex":"` + long[2:] + `"}}`, ""},
		{`{"payload":{"hex":"` + long + `"}}`, "4097 bytes"},
		{`{"payload":{"hex":""}}`, "payload.hex"},
		{`{"payload":{"hex":"f"}}`, "payload.hex"},
		{`{"payload":{"hex":"ff","port":224}}`, "payload.port is 224"},
		{`{"payload":{"hex":"ff","port":-1}}`, "payload.port"},
		{`{"lwm2m":{"do":"read","path":"/3"}}`, ""},
		{`{"lwm2m":{"do":"write","path":"/3/0/14","value":"+8"}}`, ""},
		{`{"lwm2m":{"do":"write","path":"/3441/0/150","value":"00ff","type":"opaque"}}`, ""},
		{`{"lwm2m":{"do":"write","path":"/3441/0/150","value":"zz","type":"opaque"}}`, "lwm2m.value"},
		{`{"lwm2m":{"do":"write","path":"/3/0/14","value":"` + long[:maxDownlink+1] + `"}}`, "lwm2m.value"},
		{`{"lwm2m":{"do":"execute","path":"/3/0/4"}}`, ""},
		{`{"lwm2m":{"do":"execute","path":"/3/0"}}`, "want a resource"},
		{`{"lwm2m":{"do":"write","path":"/3/0"}}`, "want a resource"},
		{`{"lwm2m":{"do":"delete","path":"/3/0/4"}}`, "lwm2m.do"},
		{`{"lwm2m":{"do":"read","path":"3/0/4"}}`, "lwm2m.path"},
		{`{"lwm2m":{"do":"read","path":"/"}}`, "lwm2m.path"},
		{`{"lwm2m":{"do":"read","path":"/3/"}}`, "lwm2m.path"},
		{`{"lwm2m":{"do":"read","path":"/3/0/1/2/3"}}`, "lwm2m.path"},
		{`{"lwm2m":{"do":"read","path":"/65536"}}`, "lwm2m.path"},
		{`{"lwm2m":{"do":"read","path":"/0/0/5"}}`, "keys"},
		{`{"lwm2m":{"do":"read","path":"/00/0/5"}}`, "lwm2m.path"},
		{`{"lwm2m":{"do":"read","path":"/3","type":"float"}}`, "lwm2m.type"},
		{`{"modbus":{"write":"coil","address":65535,"values":[1]}}`, ""},
		{`{"modbus":{"write":"coil","address":65535,"values":[1,0]}}`, "65535"},
		{`{"modbus":{"write":"coil","address":0,"values":[2]}}`, "0 or 1"},
		{`{"modbus":{"write":"register","address":0,"values":[2,65535]}}`, ""},
		{`{"modbus":{"write":"register","address":0,"values":[]}}`, "modbus.values"},
		{`{"modbus":{"write":"input","address":0,"values":[1]}}`, "modbus.write"},
		{`{"gb26875":{"do":"duty_check","minutes":255}}`, ""},
		{`{"gb26875":{"do":"duty_check"}}`, "gb26875.minutes"},
		{`{"gb26875":{"do":"read","object":"version"}}`, ""},
		{`{"gb26875":{"do":"read","object":"log"}}`, "gb26875.object"},
		{`{"gb26875":{"do":"initialize"}}`, ""},
		{`{"gb26875":{"do":"reset"}}`, "gb26875.do"},
	} {
		var o Order
		if err := json.Unmarshal([]byte(c.order), &o); err != nil {
			t.Fatal(err)
		}
		err := o.Check()
		switch {
		case c.say == "" && err != nil:
			t.Errorf("%.80s: %v: want it to be well", c.order, err)
		case c.say != "" && (CodeOf(err) != Invalid || err == nil || !strings.Contains(err.Error(), c.say)):
			t.Errorf("%.80s: error is %v: want invalid and %q", c.order, err, c.say)
		}
	}
}

func TestModbusOrderTakesOneRequestOfRegisters(t *testing.T) {
	o := Order{Modbus: &ModbusOrder{Write: "register", Values: make([]uint16, 123)}}
	if err := o.Check(); err != nil {
		t.Error(err)
	}
	o.Modbus.Values = append(o.Modbus.Values, 0)
	if err := o.Check(); CodeOf(err) != Invalid {
		t.Errorf("124 registers: %v: want invalid", err)
	}
}

func TestIDOfADownlinkIsAULID(t *testing.T) {
	order := Order{GB26875: &GB26875Order{Do: "set_clock"}}
	for id, well := range map[string]bool{
		"": true, NewID(time.Now(), "cmd", 1): true, DownlinkID("eui:01", "open the valve"): true, DownlinkID("eui:01", ""): true,
		"7ZZZZZZZZZZZZZZZZZZZZZZZZZ": true, "8ZZZZZZZZZZZZZZZZZZZZZZZZZ": false, "7ZZZZZZZZZZZZZZZZZZZZZZZZ": false, "7ZZZZZZZZZZZZZZZZZZZZZZZZZZ": false,
		"7zzzzzzzzzzzzzzzzzzzzzzzzz": false, "7ZZZZZZZZZZZ/ZZZZZZZZZZZZZ": false, "7UUUUUUUUUUUUUUUUUUUUUUUUU": false, "7ZZZZZZZZZZZZZZZZZZZZZZZZ\n": false,
	} {
		d := Downlink{ID: id, Order: order}
		if err := d.Check(); (err == nil) != well {
			t.Errorf("id %q: %v: want it well: %t", id, err, well)
		}
	}
	seen := map[string]bool{}
	for _, d := range []Identity{"eui:01", "eui:02"} {
		for _, key := range []string{"a", "b", "a"} {
			seen[DownlinkID(d, key)] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d ids: want one for each device and key", len(seen))
	}
}
