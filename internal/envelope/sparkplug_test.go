package envelope

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// sparkplug writes a message of metrics.
func sparkplug(seq int, metrics ...message) []byte {
	m := message{}.varint(1, uint64(heardAt.UnixMilli()))
	for _, metric := range metrics {
		m = m.bytes(2, metric)
	}
	if seq >= 0 {
		m = m.varint(3, uint64(seq))
	}
	return m
}

func named(name string) message       { return message{}.text(1, name) }
func aliased(alias uint64) message    { return message{}.varint(2, alias) }
func bdSeq(n uint64) message          { return named("bdSeq").varint(4, 8).varint(11, n) }
func (m message) is(v bool) message   { return m.varint(14, map[bool]uint64{true: 1}[v]) }
func (m message) typ(t int) message   { return m.varint(4, uint64(t)) }
func (m message) at(ms int64) message { return m.varint(3, uint64(ms)) }

// wire shows frames to a memory, and notes what it asks.
type wire struct {
	t      *testing.T
	memory *Memory
	now    time.Time
	asked  []string
}

func newWire(t *testing.T) *wire { return &wire{t: t, memory: NewMemory(), now: heardAt} }

func (w *wire) take(topic string, raw []byte) grid.Frame {
	f := grid.Frame{Address: topic, Raw: raw, Received: w.now}
	f.Identity, f.Envelope, f.Note = Identify(topic, raw)
	w.memory.Remember(&f, func(topic string, payload []byte) { w.asked = append(w.asked, topic) })
	return f
}

// read is what a frame says when it is opened, now or in years: nothing but itself is used.
func (w *wire) read(f grid.Frame) string {
	w.t.Helper()
	if err := Open(&f); err != nil {
		return err.Error()
	}
	return string(f.Payload)
}

func TestSparkplugDataIsReadByTheNamesOfItsBirthForEver(t *testing.T) {
	w := newWire(t)
	w.take("spBv1.0/G/NBIRTH/n", sparkplug(0, bdSeq(1)))
	birth := w.take("spBv1.0/G/DBIRTH/n/Door 1", sparkplug(1, named("door.open").varint(2, 3).typ(11).is(false), named("temp, °C").varint(2, 4).typ(2).varint(10, 65436), named("level").typ(3).varint(10, 5)))
	if got := w.read(birth); got != `{"door.open":false,"temp, °C":-100,"level":5,"_at":1772600767890}` || birth.Identity != "spb:g/n/door 1" || birth.Address != "spBv1.0/G/DBIRTH/n/Door 1" {
		t.Errorf("the birth reads %s as %s %s", got, birth.Identity, birth.Address)
	}
	data := w.take("spBv1.0/G/DDATA/n/Door 1", sparkplug(2, aliased(3).is(true), aliased(4).varint(10, 65486), named("level").varint(10, 0xfffffffe)))
	const want = "spBv1.0/G/DDATA/n/Door 1?alias=3:door.open,4:temp%2C+%C2%B0C:2,:level:3"
	if data.Address != want {
		t.Errorf("address is %s: want %s", data.Address, want)
	}
	if got := w.read(data); got != `{"door.open":true,"temp, °C":-50,"level":-2,"_at":1772600767890}` {
		t.Errorf("got %s", got)
	}
	w.take("spBv1.0/G/DBIRTH/n/Door 1", sparkplug(3, named("other").varint(2, 3)))
	if got := w.read(data); !strings.Contains(got, `"door.open":true`) {
		t.Errorf("after another birth the old message reads %s", got)
	}
	if len(w.asked) != 0 {
		t.Errorf("asked %q", w.asked)
	}
}

func TestSparkplugNodeIsAskedForItsBirthOnceAMinute(t *testing.T) {
	w := newWire(t)
	data := sparkplug(7, aliased(4).is(true))
	f := w.take("spBv1.0/g/DDATA/n/d", data)
	if got := w.read(f); !strings.Contains(got, "alias 4 is unknown: no birth of g/n/d was heard") {
		t.Errorf("got %s", got)
	}
	w.take("spBv1.0/g/NDATA/n", sparkplug(8, named("a").is(true))) // a name is enough to read it, not for what follows
	w.take("spBv1.0/g/NDATA/m", sparkplug(8, named("a").is(true)))
	if want := "[spBv1.0/g/NCMD/n spBv1.0/g/NCMD/m]"; fmt.Sprint(w.asked) != want {
		t.Fatalf("asked %v: want %s", w.asked, want)
	}
	w.now = w.now.Add(time.Minute)
	w.take("spBv1.0/g/DDATA/n/d", data)
	if len(w.asked) != 3 {
		t.Errorf("asked %v: want again after a minute", w.asked)
	}
	topic, payload := rebirth(&sparkplugSource{group: "g", node: "n"}, heardAt)
	var got sparkplugMetric
	if _, _, _, err := readSparkplug(payload, func(m sparkplugMetric) error { got = m; return nil }); err != nil || got.name != "Node Control/Rebirth" || string(got.json()) != "true" || topic != "spBv1.0/g/NCMD/n" {
		t.Errorf("asks %s with %+v, %v", topic, got, err)
	}
}

func TestSparkplugGapInTheSequenceAsksForABirth(t *testing.T) {
	w := newWire(t)
	w.take("spBv1.0/g/NBIRTH/n", sparkplug(254, bdSeq(1), named("a").varint(2, 1)))
	w.take("spBv1.0/g/DBIRTH/n/d", sparkplug(255, named("b").varint(2, 1)))
	w.take("spBv1.0/g/NDATA/n", sparkplug(0, aliased(1).is(true)))
	again := grid.Frame{Address: "spBv1.0/g/NDATA/n", Envelope: SparkplugB, Identity: "spb:g/n", Raw: sparkplug(0, aliased(1).is(true)), Received: w.now, Flags: grid.Redelivered}
	w.memory.Remember(&again, func(string, []byte) { t.Error("a repeat asks") })
	f := w.take("spBv1.0/g/DDATA/n/d", sparkplug(1, aliased(1).is(true)))
	if len(w.asked) != 0 {
		t.Fatalf("asked %v without a gap", w.asked)
	}
	if got := w.read(f); !strings.HasPrefix(got, `{"b":true`) {
		t.Errorf("a device's alias is read as the node's: %s", got)
	}
	f = w.take("spBv1.0/g/DDATA/n/d", sparkplug(3, aliased(1).is(false)))
	if got := w.read(f); len(w.asked) != 1 || !strings.HasPrefix(got, `{"b":false`) {
		t.Errorf("after a gap: asked %v, reads %s", w.asked, got)
	}
}

func TestSparkplugDeathForgetsTheBirthUnlessItIsOfAnEarlierSession(t *testing.T) {
	w := newWire(t)
	w.take("spBv1.0/g/NBIRTH/n", sparkplug(0, bdSeq(8), named("a").varint(2, 1)))
	f := w.take("spBv1.0/g/NDEATH/n", sparkplug(-1, bdSeq(7)))
	if err := Open(&f); err != nil || f.Kind != grid.Status || !f.NotHeard {
		t.Errorf("a death is %+v, %v", f.Uplink, err)
	}
	if got := w.read(w.take("spBv1.0/g/NDATA/n", sparkplug(1, aliased(1).is(true)))); !strings.HasPrefix(got, `{"a":true`) {
		t.Errorf("after an old death: %s", got)
	}
	w.take("spBv1.0/g/NDEATH/n", sparkplug(-1, bdSeq(8)))
	if got := w.read(w.take("spBv1.0/g/NDATA/n", sparkplug(2, aliased(1).is(true)))); !strings.Contains(got, "alias 1 is unknown") || len(w.asked) != 1 {
		t.Errorf("after its death: %s, asked %v", got, w.asked)
	}
	w.take("spBv1.0/g/NBIRTH/n", sparkplug(0, bdSeq(9)))
	w.take("spBv1.0/g/DBIRTH/n/d", sparkplug(1, named("x").varint(2, 1)))
	w.take("spBv1.0/g/DDEATH/n/d", sparkplug(2))
	if got := w.read(w.take("spBv1.0/g/DDATA/n/d", sparkplug(3, aliased(1).is(true)))); !strings.Contains(got, "alias 1 is unknown") {
		t.Errorf("after the device's death: %s", got)
	}
}

func TestSparkplugValuesOfAllTypesAndOfThePast(t *testing.T) {
	now := heardAt.UnixMilli()
	f := opened(t, "spBv1.0/g/NDATA/n", sparkplug(1,
		named("i8").typ(1).varint(10, 0xff), named("u8").typ(5).varint(10, 0xff), named("i32").typ(3).varint(10, 0xffffffff), named("u32").typ(7).varint(10, 0xffffffff),
		named("i64").typ(4).varint(11, negative(-9)), named("u64").typ(8).varint(11, math.MaxUint64),
		named("f").typ(9).float(12, 1.5), named("nan").typ(9).float(12, float32(math.NaN())), named("d").typ(10).double(13, -2.25),
		named("s").typ(12).text(15, "a\"\n\xffb"), named("raw").typ(17).bytes(16, []byte{1, 2}), named("none").typ(3).varint(7, 1),
		named("set").typ(16).bytes(17, []byte{8, 1}),
		named("smoke").typ(11).is(true).at(now-60_000).varint(5, 1), named("t").typ(9).float(12, 3).at(now-60_000).varint(5, 1), named("smoke").typ(11).is(false).at(now+5),
		named("smoke").typ(11).is(true).at(now-30_000).varint(5, 1)))
	const want = `{"i8":-1,"u8":255,"i32":-1,"u32":4294967295,"i64":-9,"u64":18446744073709551615,"f":1.5,"nan":null,"d":-2.25,"s":"a\"\u000a�b","raw":"AQI=","none":null,` +
		`"smoke":false,"_at":1772600767895,"_history":[{"smoke":true,"t":3,"_at":1772600707890},{"smoke":true,"_at":1772600737890}]}`
	if string(f.Payload) != want || f.At.UnixMilli() != now+5 {
		t.Errorf("got  %s at %s\nwant %s", f.Payload, f.At, want)
	}
	if f = opened(t, "spBv1.0/g/NDATA/n", sparkplug(1)); f.Kind != grid.Status {
		t.Errorf("without metrics: got %+v", f.Uplink)
	}
}

func TestSparkplugMemoryIsBounded(t *testing.T) {
	w := newWire(t)
	long := strings.Repeat("x", 2000)
	var metrics, used []message
	for i := range 100 {
		metrics = append(metrics, named(fmt.Sprintf("%s%d", long, i)).varint(2, uint64(i)))
		used = append(used, aliased(uint64(i)).is(true))
	}
	for n := range 300 {
		w.take(fmt.Sprintf("spBv1.0/g/NBIRTH/n%d", n), sparkplug(0, metrics...))
	}
	if w.memory.bytes > maxNameBytes || w.memory.bytes == 0 || w.memory.nodes.Len() >= 300 {
		t.Errorf("%d bytes of names of %d nodes: want at most %d", w.memory.bytes, w.memory.nodes.Len(), maxNameBytes)
	}
	f := w.take("spBv1.0/g/NDATA/n299", sparkplug(1, used...))
	if got := w.read(f); len(f.Address) > 100 || !strings.Contains(got, "too long to be kept") {
		t.Errorf("%d bytes of address, reads %.200s", len(f.Address), got)
	}
	w.memory.nodes.Purge()
	if w.memory.bytes != 0 {
		t.Errorf("%d bytes are left of nothing", w.memory.bytes)
	}
	many := make([]message, maxValues+1)
	for i := range many {
		many[i] = named("a").is(true)
	}
	g := grid.Frame{Envelope: SparkplugB, Address: "spBv1.0/g/NDATA/n", Raw: sparkplug(1, many...)}
	if err := Open(&g); err == nil || !strings.Contains(err.Error(), "more than 4096") {
		t.Errorf("got %v", err)
	}
}

func TestSparkplugMemoryCountsBirthsThatNameNothing(t *testing.T) {
	w := newWire(t)
	w.take("spBv1.0/g/NBIRTH/n", sparkplug(0, bdSeq(1)))
	for n := range 1000 {
		w.take(fmt.Sprintf("spBv1.0/g/DBIRTH/n/d%d", n), sparkplug(n%255+1))
	}
	if node, _ := w.memory.nodes.Peek("g/n"); w.memory.bytes < 1000*birthOverhead || node.bytes != w.memory.bytes {
		t.Errorf("%d bytes of %d births: want each to count, or one node may have without end", w.memory.bytes, len(node.births))
	}
	w.memory.nodes.Purge()
	if w.memory.bytes != 0 {
		t.Errorf("%d bytes are left of nothing", w.memory.bytes)
	}
}

func TestZigbeeModelsAreLearntFromTheBridgeAndKeptWithTheFrame(t *testing.T) {
	w := newWire(t)
	before := w.take("zigbee2mqtt/Kitchen", []byte(`{"smoke":true}`))
	list := w.take("zigbee2mqtt/bridge/devices", []byte(`[{"ieee_address":"0x01","friendly_name":"Kitchen","model_id":"lumi.x","definition":{"vendor":"Xiaomi","model":"JTYJ-GD-01LM/BW","description":"Smoke sensor"}},
		{"ieee_address":"0x02","friendly_name":"hall/door","model_id":"TS0203"},{"friendly_name":"Coordinator","definition":null},{"friendly_name":7}]`))
	if list.Flags&grid.Marker == 0 || list.Identity != "" {
		t.Errorf("the list is %+v: want it ignored", list)
	}
	for topic, model := range map[string]string{
		"zigbee2mqtt/Kitchen": "Xiaomi JTYJ-GD-01LM/BW Smoke sensor", "zigbee2mqtt/Kitchen/availability": "Xiaomi JTYJ-GD-01LM/BW Smoke sensor", "zigbee2mqtt/hall/door": "TS0203", "zigbee2mqtt/other": "",
	} {
		f := w.take(topic, []byte(`{"smoke":true}`))
		if err := Open(&f); err != nil || f.Model != model || !strings.HasPrefix(f.Address, topic) {
			t.Errorf("%s: got %q at %s, %v: want %q", topic, f.Model, f.Address, err, model)
		}
	}
	if err := Open(&before); err != nil || before.Model != "" || string(before.Payload) != `{"smoke":true}` {
		t.Errorf("got %+v, %v", before.Uplink, err)
	}
	if f := w.take("zigbee2mqtt/bridge/state", []byte(`online`)); f.Flags&grid.Marker == 0 {
		t.Error("the bridge's state is not ignored")
	}
	if f := w.take("zigbee2mqtt/lamp/set", []byte(`{}`)); f.Flags != grid.Marker || f.Identity != "" {
		t.Errorf("a command is %+v", f)
	}
	for _, broken := range []string{"", "{", "{}", "[7]"} {
		w.take("zigbee2mqtt/bridge/devices", []byte(broken))
	}
}

func TestBridgeListIsReadDeviceByDevice(t *testing.T) {
	const device = `{"friendly_name":"%s","definition":{"vendor":"V","model":"m[1]","description":"say \"}]{\" \\"},"x":[{},"}"]}`
	for name, tc := range map[string]struct {
		list string
		want []string
	}{
		"all":                     {"\n[ " + fmt.Sprintf(device, "a") + " ,\n" + fmt.Sprintf(device, "b") + "]", []string{"a", "b"}},
		"up to what is no object": {"[" + fmt.Sprintf(device, "a") + ",7," + fmt.Sprintf(device, "b") + "]", []string{"a"}},
		"up to where it is cut":   {"[" + fmt.Sprintf(device, "a") + "," + fmt.Sprintf(device, "b")[:90], []string{"a"}},
		"none of an object":       {fmt.Sprintf(device, "a"), nil},
		"past one too long":       {"[" + fmt.Sprintf(device, strings.Repeat("x", maxBridgeDevice)) + "," + fmt.Sprintf(device, "b") + "]", []string{"b"}},
		"none of numbers":         {"[" + strings.Repeat("0,", 1<<20) + "0]", nil},
		"of an open text":         {`[{"a":"` + strings.Repeat(`\`, 9), nil},
	} {
		w := newWire(t)
		w.take("zigbee2mqtt/bridge/devices", []byte(tc.list))
		if got := w.memory.models.Len(); got != len(tc.want) {
			t.Errorf("%s: %d models: want %d", name, got, len(tc.want))
		}
		for _, d := range tc.want {
			if f := w.take("zigbee2mqtt/"+d, []byte("{}")); !strings.Contains(f.Address, "?model=V+m%5B1%5D+say") {
				t.Errorf("%s: address of %s is %s", name, d, f.Address)
			}
		}
	}
}

// TestBridgeListTakesNoMoreMemoryThanItsSize is of a list that as a tree of values takes a
// gigabyte.
func TestBridgeListTakesNoMoreMemoryThanItsSize(t *testing.T) {
	m := NewMemory()
	for name, raw := range map[string][]byte{
		"numbers": []byte("[" + strings.Repeat("0,", maxBridgeBytes/2-2) + "0]"),
		"in one":  []byte(`[{"a":[` + strings.Repeat("0,", maxBridgeBytes/2-8) + "0]}]"),
		"objects": []byte("[" + strings.Repeat("{},", maxBridgeBytes/3-2) + "{}]"),
		"devices": []byte("[" + strings.Repeat(`{"a":[`+strings.Repeat("0,", 60_000)+"0]},", 30) + "{}]"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m.Remember(&grid.Frame{Envelope: Zigbee2MQTT, Address: "zigbee2mqtt/bridge/devices", Note: ofBridge, Raw: raw}, nil)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
			t.Errorf("%s: %d bytes of %d: want far less", name, n, len(raw))
		}
	}
}
