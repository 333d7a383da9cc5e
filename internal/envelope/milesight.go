package envelope

import (
	"strings"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// A Milesight gateway with its own network server sends JSON to topics that its owner
// chooses: a topic is configured for it, or is gridgate/milesight/….

func identifyMilesight(payload []byte) (grid.Identity, string) {
	return identifyJSON(payload, func(root *fastjson.Value) (grid.Identity, string) {
		return makeIdentity("eui", stringAt(root, "devEUI"))
	})
}

// openMilesight reads an uplink, and by their keys the gateway's other messages. Its time
// may be malformed (see parseTime); then the frame has none.
func openMilesight(f *grid.Frame) error {
	parser := parsers.Get()
	defer parsers.Put(parser)
	root, err := parse(parser, f.Raw)
	if err != nil {
		return err
	}
	f.At = parseTime(root.GetStringBytes("time"))
	for _, rx := range root.GetArray("rxInfo") {
		heardByMilesight(f, rx)
	}
	switch {
	case root.Get("data") != nil || root.Get("fPort") != nil:
	case root.Get("acknowledged") != nil:
		f.Kind, f.NotHeard = grid.Answer, !root.GetBool("acknowledged")
		return nil
	case root.Get("devAddr") != nil && root.Get("fCnt") == nil:
		f.Kind = grid.Join
		return nil
	default:
		f.Kind, f.NotHeard = grid.Status, true
		return nil
	}
	return reportJSON(f, root)
}

func heardByMilesight(f *grid.Frame, rx *fastjson.Value) {
	rssi, hasRSSI := floatAt(rx, "rssi")
	if f.At.IsZero() {
		f.At = parseTime(rx.GetStringBytes("time"))
	}
	if !isBetter(f, rssi, hasRSSI) {
		return
	}
	f.Gateway = strings.ToLower(stringAt(rx, "mac"))
	f.RSSIdBm, f.HasRSSI = rssi, hasRSSI
	f.SNRdB, f.HasSNR = floatAt(rx, "loRaSNR")
}
