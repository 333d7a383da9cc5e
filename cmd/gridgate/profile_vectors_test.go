package main

import (
	"os"
	"slices"
	"testing"
	"time"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

func TestPublishedMessagesOfNetworkServersAreReadToTheirReadings(t *testing.T) {
	const dir = "../../../shared/vectors"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no published vectors at ../shared/vectors: skipped")
	}
	set, err := profile.Load(firmwareprofiles.FS)
	if err != nil {
		t.Fatal(err)
	}
	results, err := set.EnvelopeVectors(dir, openPublished)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, r := range results {
		compared += r.Compared
		if r.State != profile.VectorPassed {
			t.Errorf("%s %s %s: %s %s", r.Platform, r.Vendor, r.Model, r.State, r.Reason)
		}
	}
	if compared == 0 {
		t.Error("no value was compared")
	}
	t.Logf("%d messages, %d values", len(results), compared)
}

func TestPlatformsBringWhatTheProfilesOfTheirDevicesRead(t *testing.T) {
	set, err := profile.Load(firmwareprofiles.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		profile, topic, raw string
		signal              grid.Signal
		value               float64
	}{
		{"oma/door", "gridgate/onenet/x", `{"msg":{"at":1772600767890,"imei":"867723030000001","type":1,"ds_id":"10351_0_50","value":true}}`, grid.DoorOpen, 1},
		{"oma/door", "gridgate/onenet/x", `{"msg":[{"imei":"867723030000001","type":1,"ds_id":"3200_0_5500","value":false},{"imei":"867723030000001","type":1,"ds_id":"3_0_9","value":77}]}`, grid.BatteryLevel, 77},
		{"tuya/smoke", "gridgate/tuya/x", `{"devId":"6c95","status":[{"code":"smoke_sensor_status","value":"alarm","t":1772600767890}]}`, grid.SmokeAlarm, 1},
		{"tasmota/contact", "tele/bridge/SENSOR", `{"ZbReceived":{"0x4773":{"Device":"0x4773","Contact":1,"Endpoint":1}}}`, grid.DoorOpen, 1},
		{"tasmota/contact", "stat/door7/RESULT", `{"Switch1":{"Action":"ON"}}`, grid.DoorOpen, 1},
		{"zigbee2mqtt/smoke", "zigbee2mqtt/kitchen", `{"smoke":true}`, grid.SmokeAlarm, 1},
		{"milesight/ws301", "gridgate/ctwing/x", `{"messageType":"dataReportTr","IMEI":"867723030000001","payload":{"APPdata":"AXVkAwAB"}}`, grid.DoorOpen, 1},
	} {
		f := grid.Frame{Address: c.topic, Raw: []byte(c.raw), Received: time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC)}
		if f.Identity, f.Envelope, f.Note = envelope.Identify(c.topic, f.Raw); f.Note != "" {
			t.Errorf("%s: %s", c.raw, f.Note)
		}
		if err := envelope.Open(&f); err != nil {
			t.Errorf("%s: %v", c.raw, err)
			continue
		}
		p, err := set.Get(c.profile)
		if err != nil {
			t.Fatal(err)
		}
		d, err := p.Decode(f)
		found := slices.ContainsFunc(d.Readings, func(r grid.Reading) bool { return r.Signal == c.signal && r.Value == c.value })
		if err != nil || !found {
			t.Errorf("%s of %s: got %+v, %v: want %s %v", c.profile, f.Payload, d.Readings, err, c.signal, c.value)
		}
	}
}
