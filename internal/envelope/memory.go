package envelope

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// Memory is what one way in remembers of earlier messages, for the messages that cannot
// be understood without them: the births of Sparkplug nodes, and the models that
// Zigbee2MQTT knows of its devices. What a message needs of it is written into its
// address, behind a "?", so that it is kept with the message and can be read for ever.
// A topic that has a "?" of its own has no identity, so the two are never mixed up.
//
// Messages of one node are to be shown in the order in which they came. It is safe for
// concurrent use, and bounded: what was heard of longest ago is forgotten first.
type Memory struct {
	mu     sync.Mutex
	nodes  *lru.Cache[string, *sparkplugNode]
	bytes  int                        // of the names in nodes
	models *lru.Cache[string, string] // device topic → model
}

// Bounds of a memory.
const (
	maxNodes        = 10_000
	maxModels       = 20_000
	maxNameBytes    = 32 << 20
	maxBridgeBytes  = 4 << 20     // of a bridge's list of devices
	maxBridgeDevice = 128 << 10   // of one of them
	maxDescription  = 80          // of a model
	rebirthEvery    = time.Minute // at most, to one node
	sameDeath       = ^uint64(0)  // a node whose birth had no bdSeq
	bdSeqName       = "bdSeq"     //
	nameOverhead    = 64          // of a name in a table
	birthOverhead   = 256         // of a birth
)

// NewMemory makes an empty memory.
func NewMemory() *Memory {
	m := &Memory{}
	var err error
	if m.nodes, err = lru.NewWithEvict(maxNodes, func(_ string, n *sparkplugNode) { m.bytes -= n.bytes }); err != nil {
		panic(err) // only for a size of zero or less
	}
	if m.models, err = lru.New[string, string](maxModels); err != nil {
		panic(err)
	}
	return m
}

// Remember is shown every frame as it came, before it is kept. It learns from it, and
// completes its address. ask is called with a message to be published when a Sparkplug
// node has to say its birth again; it must not wait.
func (m *Memory) Remember(f *grid.Frame, ask func(topic string, payload []byte)) {
	switch {
	case f.Identity == "" && strings.HasSuffix(f.Note, toDevice):
		f.Flags |= grid.Marker // we hear what we or others send, under a filter that is too wide
	case f.Envelope == SparkplugB && f.Identity != "":
		m.sparkplug(f, ask)
	case f.Envelope == Zigbee2MQTT:
		m.zigbee(f)
	}
}

// zigbee learns models from the bridge's list of devices, and names them to frames. What
// the bridge says is of no device: it is counted as ignored.
func (m *Memory) zigbee(f *grid.Frame) {
	if f.Identity != "" {
		if model, ok := m.models.Get(strings.TrimSuffix(f.Address, availability)); ok {
			f.Address += "?model=" + url.QueryEscape(model)
		}
		return
	}
	at := strings.Index(f.Address, "bridge/")
	if at < 0 || at > 0 && f.Address[at-1] != '/' || !strings.HasSuffix(f.Note, ofBridge) {
		return
	}
	f.Flags |= grid.Marker
	if f.Address[at:] == bridgeDevices && len(f.Raw) <= maxBridgeBytes {
		m.learnModels(f.Address[:at], f.Raw)
	}
}

// learnModels reads bridge/devices, one device after the other: a list may be a thousand
// times the size of a message, and as a tree of values takes two hundred times its own.
func (m *Memory) learnModels(base string, raw []byte) {
	var parser fastjson.Parser // keeps its memory: none of the pool
	left := maxModels
	eachObject(raw, func(device []byte) bool {
		if left--; left < 0 {
			return false
		}
		if len(device) > maxBridgeDevice {
			return true
		}
		d, err := parser.ParseBytes(device)
		if err != nil {
			return false
		}
		name, model := stringAt(d, "friendly_name"), modelOf(d)
		if name != "" && model != "" && len(name)+len(model) <= maxTopic {
			m.models.Add(base+name, model)
		}
		return true
	})
}

// eachObject calls use for each object of a JSON array of objects, as it stands there,
// until it says false or the array is none.
func eachObject(raw []byte, use func(object []byte) bool) {
	const space = " \t\r\n"
	raw = bytes.TrimLeft(raw, space)
	for open := byte('['); len(raw) > 0 && raw[0] == open; open = ',' {
		raw = bytes.TrimLeft(raw[1:], space)
		n := objectLen(raw)
		if n == 0 || !use(raw[:n]) {
			return
		}
		raw = bytes.TrimLeft(raw[n:], space)
	}
}

// objectLen is how long the JSON object is with which raw begins; 0: there is none.
func objectLen(raw []byte) int {
	if len(raw) == 0 || raw[0] != '{' {
		return 0
	}
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		}
	}
	return 0
}

// modelOf says what the bridge knows of a device's model, with its description: that says
// in words what it is.
func modelOf(d *fastjson.Value) string {
	definition := d.Get("definition")
	if stringAt(definition, "model") == "" {
		return stringAt(d, "model_id")
	}
	words := []string{stringAt(definition, "vendor"), stringAt(definition, "model")}
	if description := stringAt(definition, "description"); len(description) <= maxDescription {
		words = append(words, description)
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

// sparkplugNode is what is remembered of an edge node since its birth.
type sparkplugNode struct {
	births map[string]birth // by device; "" is the node itself
	bytes  int              // of their names
	bdSeq  uint64           // of the birth, by which its death is known
	seq    uint8            // of the last message
	hasSeq bool
	born   bool
	asked  time.Time // when a birth was last asked for
}

// birth is what a birth certificate says of its metrics.
type birth struct {
	names map[uint64]namedMetric
	types map[string]uint64 // of the signed integers
	bytes int
}

func (m *Memory) sparkplug(f *grid.Frame, ask func(string, []byte)) {
	source, note := splitSparkplug(f.Address)
	if note != "" || len(f.Raw) > maxEnvelope {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := source.group + "/" + source.node
	node, ok := m.nodes.Get(key)
	if !ok {
		node = &sparkplugNode{births: map[string]birth{}}
		m.nodes.Add(key, node)
	}
	wants := false
	switch source.kind {
	case "NBIRTH", "DBIRTH":
		wants = m.born(node, &source, f)
	case "NDEATH":
		m.died(node, f.Raw)
	case "DDEATH":
		wants = node.gap(f)
		m.forget(node, source.device)
	default:
		wants = node.complete(f, source.device)
	}
	if wants && f.Received.Sub(node.asked) >= rebirthEvery {
		node.asked = f.Received
		topic, payload := rebirth(&source, f.Received)
		ask(topic, payload)
	}
	for m.bytes > maxNameBytes {
		m.nodes.RemoveOldest()
	}
}

// born keeps what a birth names. It reports whether the node is to say its own again:
// the birth of a device before that of its node, or one after a gap.
func (m *Memory) born(node *sparkplugNode, source *sparkplugSource, f *grid.Frame) (wants bool) {
	b := birth{names: map[uint64]namedMetric{}, types: map[string]uint64{}, bytes: birthOverhead + len(source.device)}
	bdSeq := sameDeath
	_, seq, hasSeq, err := readSparkplug(f.Raw, func(metric sparkplugMetric) error {
		if !metric.hasName {
			return nil
		}
		if metric.name == bdSeqName {
			bdSeq = metric.value.n
		}
		datatype := signedType(metric.datatype)
		if metric.hasAlias {
			b.names[metric.alias] = namedMetric{metric.name, datatype}
			b.bytes += nameOverhead + len(metric.name)
		}
		if datatype != 0 {
			b.types[metric.name] = datatype
			b.bytes += nameOverhead + len(metric.name)
		}
		return nil
	})
	if err != nil {
		return false // Open says what is wrong with it
	}
	if source.device != "" {
		wants = node.gap(f)
	} else {
		for device := range node.births {
			m.forget(node, device)
		}
		node.born, node.bdSeq, node.seq, node.hasSeq = true, bdSeq, uint8(seq), hasSeq
	}
	m.forget(node, source.device)
	node.births[source.device] = b
	node.bytes += b.bytes
	m.bytes += b.bytes
	return wants
}

func signedType(datatype uint64) uint64 {
	if datatype >= spbInt8 && datatype <= spbInt64 {
		return datatype
	}
	return 0
}

func (m *Memory) forget(node *sparkplugNode, device string) {
	if old, ok := node.births[device]; ok {
		node.bytes -= old.bytes
		m.bytes -= old.bytes
		delete(node.births, device)
	}
}

// died forgets what a node said at its birth. The death of an earlier session may come
// after the birth of the next one, and means nothing then.
func (m *Memory) died(node *sparkplugNode, raw []byte) {
	bdSeq := sameDeath
	_, _, _, err := readSparkplug(raw, func(metric sparkplugMetric) error {
		if metric.name == bdSeqName {
			bdSeq = metric.value.n
		}
		return nil
	})
	if err != nil || bdSeq != node.bdSeq {
		return
	}
	for device := range node.births {
		m.forget(node, device)
	}
	node.born, node.hasSeq = false, false
}

// gap follows the sequence numbers of a node, which count all its messages from 0 to 255
// and again, and reports whether one is missing or the node was never born. A message
// that is sent again tells nothing.
func (n *sparkplugNode) gap(f *grid.Frame) bool {
	_, seq, hasSeq, err := readSparkplug(f.Raw, func(sparkplugMetric) error { return nil })
	if err != nil || !hasSeq || f.Flags&(grid.Redelivered|grid.Retained) != 0 {
		return !n.born
	}
	missing := n.hasSeq && uint8(seq) != n.seq+1
	n.seq, n.hasSeq = uint8(seq), true
	return missing || !n.born
}

// complete writes the names of a message's metrics into its address. It reports whether
// the node is to say its birth again.
func (n *sparkplugNode) complete(f *grid.Frame, device string) (wants bool) {
	wants = n.gap(f)
	b := n.births[device]
	var list []byte
	_, _, _, err := readSparkplug(f.Raw, func(metric sparkplugMetric) error {
		number, name, datatype := "", metric.name, uint64(0)
		switch {
		case !metric.hasName && metric.hasAlias:
			named, ok := b.names[metric.alias]
			if !ok {
				wants = true
				return nil
			}
			number, name = strconv.FormatUint(metric.alias, 10), named.name
			if metric.datatype == 0 {
				datatype = named.datatype
			}
		case metric.hasName && metric.datatype == 0 && b.types[name] != 0:
			datatype = b.types[name]
		default:
			return nil
		}
		if len(list) > maxAliases {
			return nil
		}
		if len(list) > 0 {
			list = append(list, ',')
		}
		list = append(append(append(list, number...), ':'), url.QueryEscape(name)...)
		if datatype != 0 {
			list = strconv.AppendUint(append(list, ':'), datatype, 10)
		}
		return nil
	})
	switch {
	case err != nil || len(list) == 0:
	case len(list) > maxAliases:
		f.Address += "?" + aliasKey + droppedAliases
	default:
		f.Address += "?" + aliasKey + string(list)
	}
	return wants
}
