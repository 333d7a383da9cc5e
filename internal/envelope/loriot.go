package envelope

import (
	"fmt"
	"strings"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// LORIOT sends one JSON form by all its ways out, and has no topic of its own: a topic is
// configured for it, or is gridgate/loriot/….

func identifyLORIOT(payload []byte) (grid.Identity, string) {
	return identifyJSON(payload, func(root *fastjson.Value) (grid.Identity, string) {
		return makeIdentity("eui", strings.ReplaceAll(stringAt(root, "EUI"), "-", ""))
	})
}

// openLORIOT reads rx, an uplink, and gw, the same uplink again with every gateway that
// heard it: counter and content are the same, so it is known as a repeat.
func openLORIOT(f *grid.Frame) error {
	parser := parsers.Get()
	defer parsers.Put(parser)
	root, err := parse(parser, f.Raw)
	if err != nil {
		return err
	}
	f.At = unixMilli(root.Get("ts"))
	switch cmd := stringAt(root, "cmd"); cmd {
	case "rx", "gw":
	case "":
		return fmt.Errorf("has no cmd: want rx or gw")
	case "join":
		f.Kind = grid.Join
		return nil
	case "txd":
		f.Kind, f.NotHeard = grid.Answer, true
		return nil
	default: // what the server says beside
		f.Kind, f.NotHeard = grid.Status, true
		return nil
	}
	heardByLORIOT(f, root)
	if level, said := floatAt(root, "bat"); said {
		setDevStatus(f, level)
	}
	if f.Counter, err = uint32At(root, "fcnt"); err != nil {
		return err
	}
	f.HasCounter = true
	if f.Port, err = portAt(root, "port"); err != nil {
		return err
	}
	if root.Get("data") == nil && root.Get("encdata") != nil {
		return fmt.Errorf("data is encrypted: give the application key to the network server")
	}
	payload, err := hexAt(root, "data")
	if err != nil {
		return err
	}
	report(f, payload)
	return nil
}

func heardByLORIOT(f *grid.Frame, root *fastjson.Value) {
	f.RSSIdBm, f.HasRSSI = floatAt(root, "rssi")
	f.SNRdB, f.HasSNR = floatAt(root, "snr")
	for _, gw := range root.GetArray("gws") {
		rssi, hasRSSI := floatAt(gw, "rssi")
		if !isBetter(f, rssi, hasRSSI) && f.Gateway != "" {
			continue
		}
		f.Gateway = strings.ToLower(stringAt(gw, "gweui"))
		f.RSSIdBm, f.HasRSSI = rssi, hasRSSI
		f.SNRdB, f.HasSNR = floatAt(gw, "snr")
	}
}
