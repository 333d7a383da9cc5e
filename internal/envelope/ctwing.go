package envelope

import (
	"fmt"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// CTWing (AEP) pushes one JSON object a message; messageType says what it is about.

func identifyCTWing(payload []byte) (grid.Identity, string) {
	return identifyJSON(payload, func(root *fastjson.Value) (grid.Identity, string) {
		for _, key := range []string{"IMEI", "imei"} {
			if imei := textOf(root.Get(key)); said(imei) {
				return makeIdentity("imei", imei)
			}
		}
		if id := textOf(root.Get("deviceId")); said(id) {
			return makeIdentity("sn", id)
		}
		return "", "has neither IMEI nor deviceId"
	})
}

// openCTWing reads what the product's profile at the platform has decoded (serviceData)
// as a JSON object, and what it passes through (APPdata) as the bytes that it is.
func openCTWing(f *grid.Frame) error {
	parser := parsers.Get()
	defer parsers.Put(parser)
	root, err := parse(parser, f.Raw)
	if err != nil {
		return err
	}
	f.At = unixMilli(root.Get("timestamp"))
	switch kind := stringAt(root, "messageType"); kind {
	case "dataReport", "dataReportTr", "eventReport":
	case "deviceOnlineOfflineReport":
		f.Kind, f.NotHeard = grid.Status, textOf(root.Get("eventType")) != "1"
		f.Gone = f.NotHeard
		return nil
	case "commandResponse":
		f.Kind = grid.Answer
		return nil
	case "":
		return fmt.Errorf("has no messageType: want for example dataReport")
	default:
		f.Kind, f.NotHeard = grid.Status, true
		return nil
	}
	records, err := objects(root.Get("payload"))
	if err != nil {
		return fmt.Errorf("payload %w", err)
	}
	if len(records) == 0 { // an event of a product with a thing model has its content here
		if records, err = objects(root.Get("eventContent")); err != nil {
			return fmt.Errorf("eventContent %w", err)
		}
	}
	for _, r := range records {
		if r.Get("APPdata") != nil {
			return openCTWingBytes(f, records)
		}
	}
	return openCTWingValues(f, records, milli(root.Get("timestamp")))
}

// openCTWingBytes takes the device's own frame. Several in one message are not of one
// layout's making: gluing them together could hide one.
func openCTWingBytes(f *grid.Frame, records []*fastjson.Value) error {
	if len(records) != 1 {
		return fmt.Errorf("payload has %d records with APPdata among them: want one", len(records))
	}
	payload, err := base64At(records[0], "APPdata")
	if err != nil {
		return err
	}
	report(f, payload)
	return nil
}

// openCTWingValues gathers the values of all records: services of one report, or samples
// that the device kept, of which the last is the newest.
func openCTWingValues(f *grid.Frame, records []*fastjson.Value, at int64) error {
	all := values{at: at}
	for _, r := range records {
		data := r
		if r.Get("serviceData") != nil {
			data = r.Get("serviceData")
		}
		object, err := data.Object()
		if err != nil {
			return fmt.Errorf("serviceData is a JSON %s: want an object", data.Type())
		}
		if err := all.addObject(object, func(v *fastjson.Value) (*fastjson.Value, int64) { return v, 0 }); err != nil {
			return err
		}
		signalOfCTWing(f, data)
	}
	report(f, all.payload())
	return nil
}

// signalOfCTWing takes the signal strength. RSRP comes without its sign.
func signalOfCTWing(f *grid.Frame, data *fastjson.Value) {
	for _, key := range []string{"RSRP", "rsrp", "Rsrp"} {
		if x, ok := floatAt(data, key); ok {
			if x > 0 {
				x = -x
			}
			f.RSSIdBm, f.HasRSSI = x, true
		}
	}
	for _, key := range []string{"SINR", "sinr", "SNR", "snr"} {
		if x, ok := floatAt(data, key); ok {
			f.SNRdB, f.HasSNR = x, true
		}
	}
}
