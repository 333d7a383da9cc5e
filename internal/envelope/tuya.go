package envelope

import (
	"fmt"
	"strings"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// tuyaTopic begins tylink/<device>/thing/property/report, on which devices of TuyaLink
// report. What the cloud pushes has no topic of its own: one is configured, or it is
// gridgate/tuya/….
const tuyaTopic = "tylink/"

func identifyTuya(topic string, payload []byte) (id grid.Identity, note string, lasting bool) {
	if rest, ok := strings.CutPrefix(topic, tuyaTopic); ok {
		device, _, _ := strings.Cut(rest, "/")
		id, note = makeIdentity("tuya", device)
		return id, note, true
	}
	id, note = identifyJSON(payload, func(root *fastjson.Value) (grid.Identity, string) {
		for _, where := range []*fastjson.Value{root, root.Get("bizData")} {
			for _, key := range []string{"devId", "deviceId", "device_id"} {
				if id := stringAt(where, key); id != "" {
					return makeIdentity("tuya", id)
				}
			}
		}
		return "", "has no devId"
	})
	return id, note, false
}

// openTuya reads a report of properties in any of the forms in which it comes: status,
// a list of code, value and time t; the newer properties within bizData; and data, an
// object by code, as devices send it.
func openTuya(f *grid.Frame) error {
	parser := parsers.Get()
	defer parsers.Put(parser)
	root, err := parse(parser, f.Raw)
	if err != nil {
		return err
	}
	var all values
	for _, key := range []string{"t", "ts", "time"} {
		if all.at = milli(root.Get(key)); all.at != 0 {
			break
		}
	}
	f.At = all.time()
	biz := root.Get("bizData")
	switch {
	case root.Get("status") != nil && root.Get("status").Type() == fastjson.TypeArray:
		err = all.addTuyaList(root.GetArray("status"), "t")
	case biz.Get("properties") != nil:
		err = all.addTuyaList(biz.GetArray("properties"), "time")
	case root.Get("data") != nil && root.Get("data").Type() == fastjson.TypeObject:
		err = all.addObject(root.GetObject("data"), tuyaValue)
	case root.Get("bizCode") != nil:
		f.Kind, f.NotHeard = grid.Status, stringAt(root, "bizCode") != "online"
		f.Gone = stringAt(root, "bizCode") == "offline"
		return nil
	case root.Get("code") != nil || root.Get("msgId") != nil:
		f.Kind = grid.Answer
		return nil
	default:
		return fmt.Errorf("has neither status, bizData nor data that can be read")
	}
	if err != nil {
		return err
	}
	f.At = all.time()
	report(f, all.payload())
	return nil
}

func (v *values) addTuyaList(list []*fastjson.Value, timeKey string) error {
	for _, item := range list {
		code, value := stringAt(item, "code"), item.Get("value")
		if code == "" || value == nil {
			return fmt.Errorf("a property has no code or no value: %s", truncate(item.String()))
		}
		if err := v.add(code, plainJSON(value), milli(item.Get(timeKey)), false); err != nil {
			return err
		}
	}
	return nil
}

// tuyaValue takes a member of data apart: a value, or a value with its time.
func tuyaValue(member *fastjson.Value) (*fastjson.Value, int64) {
	if member.Type() == fastjson.TypeObject && member.Get("value") != nil {
		return member.Get("value"), milli(member.Get("time"))
	}
	return member, 0
}
