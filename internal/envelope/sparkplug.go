package envelope

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"gridgate/internal/grid"
)

// Sparkplug B (spBv1.0/<group>/<kind>/<node>[/<device>], protobuf). A birth names a
// node's metrics; after it the node may name them by number (alias) and leave out their
// type, so that a message alone cannot be read. Memory remembers births in the order in
// which they come, and writes what a message needs of them into its address:
//
//	spBv1.0/g/DDATA/n/d?alias=3:door.open,4:temperature:2
//
// alias:name, and :type for the signed integers, whose values look unsigned on the wire.
// A metric that has its name and lacks only its type stands there without a number.
const sparkplugTopic = "spBv1.0/"

// sparkplugSource is a topic taken apart; device is "" for the node itself.
type sparkplugSource struct{ group, kind, node, device string }

func splitSparkplug(topic string) (s sparkplugSource, note string) {
	part := strings.Split(strings.TrimPrefix(topic, sparkplugTopic), "/")
	if len(part) < 3 || len(part) > 4 || !strings.HasPrefix(topic, sparkplugTopic) {
		return s, fmt.Sprintf("topic %q: want spBv1.0/<group>/<kind>/<node>[/<device>]", truncate(topic))
	}
	s = sparkplugSource{group: part[0], kind: part[1], node: part[2]}
	if len(part) == 4 {
		s.device = part[3]
	}
	switch s.kind {
	case "NBIRTH", "NDATA", "NDEATH":
		if len(part) == 3 {
			return s, ""
		}
	case "DBIRTH", "DDATA", "DDEATH":
		if len(part) == 4 && s.device != "" {
			return s, ""
		}
	case "NCMD", "DCMD":
		return s, fmt.Sprintf("topic %q is a command to a device", truncate(topic))
	}
	return s, fmt.Sprintf("topic %q: want NBIRTH, NDATA or NDEATH of a node, or DBIRTH, DDATA or DDEATH of a device", truncate(topic))
}

func (s *sparkplugSource) name() string {
	if s.device == "" {
		return s.group + "/" + s.node
	}
	return s.group + "/" + s.node + "/" + s.device
}

func identifySparkplug(topic string) (grid.Identity, string) {
	s, note := splitSparkplug(topic)
	if note != "" {
		return "", note
	}
	return makeIdentity("spb", s.name())
}

// sparkplugMetric is one metric of a message. Field numbers and types are those of
// sparkplug_b.proto (eclipse/tahu).
type sparkplugMetric struct {
	name             string
	alias, timestamp uint64
	datatype         uint64
	hasName          bool
	hasAlias         bool
	historical, null bool
	value            wireField
}

// Types of metrics, where they change how a value is read.
const (
	spbInt8    = 1
	spbInt16   = 2
	spbInt32   = 3
	spbInt64   = 4
	spbBoolean = 11
)

// sparkplugMessage calls metric for each metric, and gives the message's own fields. A
// message has at most maxValues metrics.
func readSparkplug(raw []byte, metric func(sparkplugMetric) error) (timestamp, seq uint64, hasSeq bool, err error) {
	count := 0
	err = eachField(raw, func(f wireField) error {
		switch {
		case f.num == 1 && f.isVarint():
			timestamp = f.n
		case f.num == 3 && f.isVarint():
			seq, hasSeq = f.n, true
		case f.num == 2 && f.isBytes():
			if count++; count > maxValues {
				return fmt.Errorf("has more than %d metrics", maxValues)
			}
			m, err := readMetric(f.b)
			if err != nil {
				return fmt.Errorf("metric %d: %w", count, err)
			}
			return metric(m)
		}
		return nil
	})
	return timestamp, seq, hasSeq, err
}

func readMetric(message []byte) (m sparkplugMetric, err error) {
	err = eachField(message, func(f wireField) error {
		switch {
		case f.num == 1 && f.isBytes():
			m.name, m.hasName = strings.ToValidUTF8(string(f.b), "�"), len(f.b) > 0
		case f.num == 2 && f.isVarint():
			m.alias, m.hasAlias = f.n, true
		case f.num == 3 && f.isVarint():
			m.timestamp = f.n
		case f.num == 4 && f.isVarint():
			m.datatype = f.n
		case f.num == 5 && f.isVarint():
			m.historical = f.n != 0
		case f.num == 7 && f.isVarint():
			m.null = f.n != 0
		case f.num >= 10 && f.num <= 19:
			m.value = f
		}
		return nil
	})
	return m, err
}

// json writes the value; nil for what no signal can be: data sets, templates, extensions.
func (m *sparkplugMetric) json() []byte {
	v := &m.value
	switch {
	case m.null || v.num == 0:
		return []byte("null")
	case v.num == 10 && v.typ == protowire.VarintType: // int_value
		return strconv.AppendInt(nil, narrow(m.datatype, v.n), 10)
	case v.num == 11 && v.typ == protowire.VarintType && m.datatype == spbInt64:
		return strconv.AppendInt(nil, int64(v.n), 10)
	case v.num == 11 && v.typ == protowire.VarintType: // long_value
		return strconv.AppendUint(nil, v.n, 10)
	case v.num == 12 && v.typ == protowire.Fixed32Type:
		return appendFloat(nil, float64(v.float32()), 32)
	case v.num == 13 && v.typ == protowire.Fixed64Type:
		return appendFloat(nil, v.float64(), 64)
	case v.num == 14 && v.typ == protowire.VarintType:
		return strconv.AppendBool(nil, v.n != 0)
	case v.num == 15 && v.isBytes():
		return appendText(nil, strings.ToValidUTF8(string(v.b), "�"))
	case v.num == 16 && v.isBytes():
		return appendText(nil, base64.StdEncoding.EncodeToString(v.b))
	}
	return nil
}

// narrow reads an int_value, which is unsigned on the wire, by its type.
func narrow(datatype, n uint64) int64 {
	switch datatype {
	case spbInt8:
		return int64(int8(n))
	case spbInt16:
		return int64(int16(n))
	case spbInt32, spbInt64:
		return int64(int32(n))
	}
	return int64(uint32(n))
}

// openSparkplug gives the metrics as a JSON object (see values). A birth says how the
// metrics are now, and is a report as any data.
func openSparkplug(f *grid.Frame) error {
	topic, query, _ := strings.Cut(f.Address, "?")
	source, note := splitSparkplug(topic)
	if note != "" {
		return fmt.Errorf("%s", note)
	}
	if strings.HasSuffix(source.kind, "DEATH") {
		f.Kind, f.NotHeard, f.Gone = grid.Status, true, true
		return nil
	}
	f.Model = "Sparkplug B"
	known, err := parseAliases(query)
	if err != nil {
		return err
	}
	var all values
	timestamp, _, _, err := readSparkplug(f.Raw, func(m sparkplugMetric) error {
		if err := m.resolve(&known, &source); err != nil {
			return err
		}
		json := m.json()
		if json == nil {
			return nil
		}
		return all.add(m.name, json, sensibleMilli(m.timestamp), m.historical)
	})
	if err != nil {
		return err
	}
	all.at = sensibleMilli(timestamp)
	f.At = all.time()
	report(f, all.payload())
	return nil
}

func sensibleMilli(ms uint64) int64 {
	if ms >= maxUnix*1000 {
		return 0
	}
	return int64(ms)
}

// resolve gives a metric the name and the type that the birth gave it.
func (m *sparkplugMetric) resolve(known *aliases, source *sparkplugSource) error {
	if m.hasName {
		if m.datatype == 0 {
			m.datatype = known.types[m.name]
		}
		return nil
	}
	if !m.hasAlias {
		return fmt.Errorf("a metric has neither name nor alias")
	}
	named, ok := known.names[m.alias]
	switch {
	case ok:
	case known.dropped:
		return fmt.Errorf("alias %d: the names of the metrics are too long to be kept with the message: want at most %d bytes of them", m.alias, maxAliases)
	default:
		return fmt.Errorf("alias %d is unknown: no birth of %s was heard that names it", m.alias, source.name())
	}
	m.name = named.name
	if m.datatype == 0 {
		m.datatype = named.datatype
	}
	return nil
}

// aliases are the names that stand in an address.
type aliases struct {
	names   map[uint64]namedMetric
	types   map[string]uint64 // of metrics that have their name
	dropped bool              // they were too many
}

type namedMetric struct {
	name     string
	datatype uint64 // only where it changes the value; else 0
}

// maxAliases bounds what a message's names add to its address.
const maxAliases = 16 << 10

const aliasKey = "alias="

// droppedAliases stands for names that are too many.
const droppedAliases = "*"

func parseAliases(query string) (a aliases, err error) {
	list, ok := strings.CutPrefix(query, aliasKey)
	if !ok || list == "" {
		return a, nil
	}
	if list == droppedAliases {
		return aliases{dropped: true}, nil
	}
	a = aliases{names: map[uint64]namedMetric{}, types: map[string]uint64{}}
	for item := range strings.SplitSeq(list, ",") {
		number, rest, _ := strings.Cut(item, ":")
		escaped, typ, _ := strings.Cut(rest, ":")
		name, err := url.QueryUnescape(escaped)
		if err != nil || name == "" {
			return a, fmt.Errorf("address: alias %q has no name that can be read", truncate(item))
		}
		datatype, _ := strconv.ParseUint(typ, 10, 8) // absent is 0
		if number == "" {
			a.types[name] = datatype
			continue
		}
		alias, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return a, fmt.Errorf("address: alias %q is no number", truncate(number))
		}
		a.names[alias] = namedMetric{name, datatype}
	}
	return a, nil
}

// rebirth is the message that asks a node for its birth (Sparkplug 3.0, clause 6.4.18).
func rebirth(s *sparkplugSource, now time.Time) (topic string, payload []byte) {
	at := uint64(now.UnixMilli())
	metric := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "Node Control/Rebirth")
	metric = protowire.AppendVarint(protowire.AppendTag(metric, 3, protowire.VarintType), at)
	metric = protowire.AppendVarint(protowire.AppendTag(metric, 4, protowire.VarintType), spbBoolean)
	metric = protowire.AppendVarint(protowire.AppendTag(metric, 14, protowire.VarintType), 1)
	payload = protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), at)
	payload = protowire.AppendBytes(protowire.AppendTag(payload, 2, protowire.BytesType), metric)
	return sparkplugTopic + s.group + "/NCMD/" + s.node, payload
}
