package envelope

import (
	"fmt"
	"strings"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// What network servers say of downlinks. An answer that names no downlink of ours says
// nothing: other programs queue downlinks too.

// chirpStackAnswer is what an event of ChirpStack 4 says of a queue item.
func chirpStackAnswer(event, item string, acknowledged bool, detail string) *grid.DownAnswer {
	ref, ok := ulidOf(item)
	if !ok {
		return nil
	}
	switch {
	case event == "txack":
		return &grid.DownAnswer{Ref: ref, State: grid.DownlinkSent, Detail: "a gateway has it to send" + detail}
	case event == "ack" && acknowledged:
		return &grid.DownAnswer{Ref: ref, State: grid.DownlinkAcknowledged, Detail: "the device acknowledged it"}
	case event == "ack":
		return &grid.DownAnswer{Ref: ref, State: grid.DownlinkFailed, Detail: "the device did not acknowledge it"}
	case event == "log":
		return &grid.DownAnswer{Ref: ref, State: grid.DownlinkFailed, Detail: "ChirpStack dropped it: " + detail}
	}
	return nil
}

func chirpStackAnswerJSON(event string, root *fastjson.Value) *grid.DownAnswer {
	switch event {
	case "txack":
		return chirpStackAnswer(event, stringAt(root, "queueItemId"), false, byGateway(stringAt(root, "gatewayId")))
	case "ack":
		return chirpStackAnswer(event, stringAt(root, "queueItemId"), root.GetBool("acknowledged"), "")
	case "log":
		if dropped(stringAt(root, "level"), stringAt(root, "code")) {
			return chirpStackAnswer(event, stringAt(root, "context", "queue_item_id"), false, label(root.GetStringBytes("description")))
		}
	}
	return nil
}

func byGateway(id string) string {
	if id == "" {
		return ""
	}
	return ": " + label([]byte(id))
}

// dropped reports whether a log event that names a queue item says that it is gone.
func dropped(level, code string) bool {
	return level == "ERROR" || code == "DOWNLINK_PAYLOAD_SIZE" || code == "F_CNT_DOWN" || code == "EXPIRED"
}

// The numbers of the same, in LogEvent.
const (
	chirpStackError       = 2
	chirpStackPayloadSize = 1
	chirpStackFCntDown    = 10
	chirpStackExpired     = 11
)

// answer reads the fields of version 4 that say of which queue item the event is.
func (m *chirpStackMessage) answer(event string, f wireField) error {
	switch {
	case event == "log" && f.num == 3 && f.isVarint():
		m.lost = m.lost || f.n == chirpStackError
	case event == "log" && f.num == 4 && f.isVarint():
		m.lost = m.lost || f.n == chirpStackPayloadSize || f.n == chirpStackFCntDown || f.n == chirpStackExpired
	case event == "log" && f.num == 5 && f.isBytes():
		m.detail = label(f.b)
	case event == "log" && f.num == 6 && f.isBytes():
		return m.context(f.b)
	case event != "log" && f.num == 4 && f.isBytes():
		m.item = label(f.b)
	case event == "txack" && f.num == 6 && f.isBytes():
		m.detail = byGateway(string(f.b))
	}
	return nil
}

// context reads one entry of a log event's context.
func (m *chirpStackMessage) context(entry []byte) error {
	var key, value string
	err := eachField(entry, func(f wireField) error {
		switch {
		case f.num == 1 && f.isBytes():
			key = label(f.b)
		case f.num == 2 && f.isBytes():
			value = label(f.b)
		}
		return nil
	})
	if key == "queue_item_id" {
		m.item = value
	}
	return err
}

// said is what the event says of a downlink of ours.
func (m *chirpStackMessage) said(event string) *grid.DownAnswer {
	if m.v3 || event == "log" && !m.lost {
		return nil
	}
	return chirpStackAnswer(event, m.item, m.acknowledged, m.detail)
}

// theThingsRef begins the correlation id by which we know a downlink again.
const theThingsRef = "gridgate:"

// theThingsAnswer reads what a message of The Things Stack says of a downlink of ours. The
// stack sends again what a device does not acknowledge, as often as it is configured to, and
// says that it failed when it gives up: a nack is no end.
func theThingsAnswer(root *fastjson.Value, key string) *grid.DownAnswer {
	said := root.Get(key)
	of := said
	if key == "downlink_failed" {
		of = said.Get("downlink")
	}
	ref := theThingsID(of.GetArray("correlation_ids"))
	if ref == "" {
		ref = theThingsID(root.GetArray("correlation_ids"))
	}
	if ref == "" {
		return nil
	}
	a := &grid.DownAnswer{Ref: ref}
	switch key {
	case "downlink_queued":
		a.State, a.Detail = grid.DownlinkQueued, "it waits at The Things Stack"
	case "downlink_sent":
		a.State, a.Detail = grid.DownlinkSent, "The Things Stack sent it"
	case "downlink_nack":
		a.State, a.Detail = grid.DownlinkSent, "the device did not acknowledge it: The Things Stack sends it again"
	case "downlink_ack":
		a.State, a.Detail = grid.DownlinkAcknowledged, "the device acknowledged it"
	case "downlink_failed":
		a.State, a.Detail = grid.DownlinkFailed, "The Things Stack dropped it: "+theThingsError(said.Get("error"))
	default:
		return nil
	}
	return a
}

func theThingsError(v *fastjson.Value) string {
	name, text := label(v.GetStringBytes("name")), label(v.GetStringBytes("message_format"))
	switch {
	case text == "" && name == "":
		return "it does not say why"
	case text == "" || name == "":
		return name + text
	}
	return fmt.Sprintf("%s (%s)", text, name)
}

// What an id of a downlink may have in it (grid.Downlink.Check).
const (
	plain  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
	maxRef = 64
)

// theThingsID finds our correlation id among others.
func theThingsID(all []*fastjson.Value) string {
	for i, v := range all {
		if i == maxHeard {
			break
		}
		ref, ours := strings.CutPrefix(string(v.GetStringBytes()), theThingsRef)
		if ours && ref != "" && len(ref) <= maxRef && strings.Trim(ref, plain) == "" {
			return ref
		}
	}
	return ""
}
