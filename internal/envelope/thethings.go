package envelope

import (
	"fmt"
	"strings"

	"github.com/valyala/fastjson"

	"gridgate/internal/grid"
)

// theThingsTopic begins v3/<application>@<tenant>/devices/<device>/<kind> of The Things
// Stack version 3. The device's name is free; its EUI is in the message.
const theThingsTopic = "v3/"

func isTheThingsTopic(topic string) bool {
	part := strings.SplitN(strings.TrimPrefix(topic, theThingsTopic), "/", 4)
	return strings.HasPrefix(topic, theThingsTopic) && len(part) == 4 && part[1] == "devices"
}

// identifyTheThings takes the EUI; a device that is activated by hand may have none, and
// is known by its name within the application.
func identifyTheThings(payload []byte) (grid.Identity, string) {
	return identifyJSON(payload, func(root *fastjson.Value) (grid.Identity, string) {
		ids := root.Get("end_device_ids")
		if eui := stringAt(ids, "dev_eui"); eui != "" {
			return makeIdentity("eui", eui)
		}
		if name := stringAt(ids, "device_id"); name != "" {
			return makeIdentity("tts", stringAt(ids, "application_ids", "application_id")+"/"+name)
		}
		return "", "end_device_ids has neither dev_eui nor device_id"
	})
}

// openTheThings reads what the message is about from the key that holds it, so that it
// may come on any topic. It leaves out what is zero or false.
func openTheThings(f *grid.Frame) error {
	parser := parsers.Get()
	defer parsers.Put(parser)
	root, err := parse(parser, f.Raw)
	if err != nil {
		return err
	}
	f.At = parseTime(root.GetStringBytes("received_at"))
	if up := root.Get("uplink_message"); up != nil {
		return openTheThingsUplink(f, up)
	}
	if root.Get("join_accept") != nil {
		f.Kind = grid.Join
		return nil
	}
	f.NotHeard = true // what the network did, or says of the device
	f.Kind = grid.Status
	for _, key := range []string{"downlink_ack", "downlink_nack", "downlink_sent", "downlink_failed", "downlink_queued", "downlink_queue_invalidated"} {
		if root.Get(key) != nil {
			f.Kind, f.NotHeard = grid.Answer, key != "downlink_ack"
			f.Down = theThingsAnswer(root, key)
			return nil
		}
	}
	for _, key := range []string{"service_data", "location_solved", "uplink_normalized"} {
		if root.Get(key) != nil {
			return nil
		}
	}
	return fmt.Errorf("has no uplink_message, join_accept, downlink_… or service_data")
}

func openTheThingsUplink(f *grid.Frame, up *fastjson.Value) (err error) {
	if at := parseTime(up.GetStringBytes("received_at")); !at.IsZero() {
		f.At = at // by the network server; the outer one is later, by the application server
	}
	for _, rx := range up.GetArray("rx_metadata") {
		heardByTheThings(f, rx)
	}
	if model := stringAt(up, "version_ids", "model_id"); model != "" {
		f.Model = strings.TrimSpace(stringAt(up, "version_ids", "brand_id") + " " + model)
	}
	if battery := up.Get("last_battery_percentage"); battery != nil {
		if pct, said := floatAt(battery, "value"); said {
			setBattery(f, pct)
		}
	}
	if f.Counter, err = uint32At(up, "f_cnt"); err != nil {
		return err
	}
	f.HasCounter = true
	if f.Port, err = portAt(up, "f_port"); err != nil {
		return err
	}
	payload, err := base64At(up, "frm_payload")
	if err != nil {
		return err
	}
	report(f, payload)
	return nil
}

// heardByTheThings keeps the gateway with the strongest signal. One that another network
// lent through the packet broker names itself there.
func heardByTheThings(f *grid.Frame, rx *fastjson.Value) {
	rssi, hasRSSI := floatAt(rx, "rssi")
	if !isBetter(f, rssi, hasRSSI) {
		return
	}
	switch {
	case stringAt(rx, "gateway_ids", "eui") != "":
		f.Gateway = strings.ToLower(stringAt(rx, "gateway_ids", "eui"))
	case stringAt(rx, "packet_broker", "forwarder_gateway_eui") != "":
		f.Gateway = strings.ToLower(stringAt(rx, "packet_broker", "forwarder_gateway_eui"))
	default:
		f.Gateway = stringAt(rx, "gateway_ids", "gateway_id")
	}
	f.RSSIdBm, f.HasRSSI = rssi, hasRSSI
	snr, said := floatAt(rx, "snr")
	f.SNRdB, f.HasSNR = snr, said || rx.Get("snr") == nil && hasRSSI // a zero is left out
}
