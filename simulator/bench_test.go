package simulator

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

func TestALoadIsAcknowledgedToTheLastFrame(t *testing.T) {
	for _, envelope := range []string{"native", "chirpstack"} {
		b := testBroker{}
		l := Load{Broker: b.start(t), Profile: "bosch/tps110", Envelope: envelope, Devices: 300, Conns: 3, Window: 17, Alarms: 0.01, Count: 10_000, Seed: 5}
		res, err := l.Run(t.Context())
		if err != nil || res.Acked != 10_000 || len(b.all()) != 10_000 {
			t.Fatalf("%s: %+v, %d arrived, %v", envelope, res, len(b.all()), err)
		}
		if res.Alarms < 50 || res.Alarms > 150 {
			t.Errorf("%s: %d alarms among 10000 frames, want about 1 %%", envelope, res.Alarms)
		}
	}
}

func TestALoadSpeaksForTheDevicesOfItsRegistry(t *testing.T) {
	b := testBroker{}
	l := Load{Broker: b.start(t), Profile: "netvox/ra02a", Envelope: "native", Devices: 40, Conns: 4, Window: 10, Count: 400, Seed: 0xBEEF}
	if _, err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := l.Registry()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for d := range r.Devices {
		want[string(d.Identity)] = 10
	}
	payloads := map[string]bool{}
	for _, a := range b.all() {
		id, port, _ := strings.Cut(strings.TrimPrefix(a.topic, "gridgate/up/"), "/")
		want[id]--
		if port != "6" || len(a.payload) != 11 {
			t.Fatalf("%s: %x", a.topic, a.payload)
		}
		if key := id + a.payload; payloads[key] {
			t.Errorf("%s repeats itself: %x", id, a.payload)
		} else {
			payloads[key] = true
		}
	}
	for id, missing := range want {
		if missing != 0 {
			t.Errorf("%s: %d frames missing", id, missing)
		}
	}
}

func TestTheChirpStackLoadIsWhatAFleetSends(t *testing.T) {
	b := testBroker{}
	l := Load{Broker: b.start(t), Profile: "milesight/ws301", Envelope: "chirpstack", Devices: 1, Conns: 1, Window: 1, Count: 3, First: 0}
	if _, err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for k, a := range b.all() {
		var up chirpstackUp
		if err := json.Unmarshal([]byte(a.payload), &up); err != nil {
			t.Fatal(err)
		}
		data, _ := base64.StdEncoding.DecodeString(up.Data)
		if want := fmt.Sprintf("0175%02x030000040000", 20+k); up.FCnt != uint32(k) || up.FPort != 85 || hex.EncodeToString(data) != want {
			t.Errorf("frame %d: counter %d, port %d, data %x, want %s", k, up.FCnt, up.FPort, data, want)
		}
		if strings.Contains(a.payload, `"fCnt":0`) || !strings.Contains(a.topic, up.DeviceInfo.DevEUI) {
			t.Errorf("topic %s, payload %s", a.topic, a.payload)
		}
	}
}

func TestALoadKeepsItsRateAndEndsWithItsTime(t *testing.T) {
	b := testBroker{}
	l := Load{Broker: b.start(t), Profile: "bosch/tps110", Envelope: "native", Devices: 10, Conns: 2, Window: 100, Rate: 500}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	res, err := l.Run(ctx)
	if err != nil || res.Acked != res.Sent || res.Sent > 252+50 {
		t.Errorf("%+v, %v: want at most about 250 frames", res, err)
	}
}

func TestABrokenConnectionEndsALoadWithAnError(t *testing.T) {
	b := testBroker{breakAfter: 50}
	l := Load{Broker: b.start(t), Profile: "bosch/tps110", Envelope: "native", Devices: 10, Conns: 1, Window: 100, Count: 1000}
	if res, err := l.Run(t.Context()); err == nil {
		t.Errorf("no error: %+v", res)
	}
}

func TestRegistryIsYAMLInTheWordsOfGrid(t *testing.T) {
	f := NewFleet(16, 3)
	units, err := NewUnits([]grid.UnitKind{grid.FireUnit, grid.MicroStation}, 9)
	if err != nil {
		t.Fatal(err)
	}
	r := f.Registry(30 * time.Second)
	for _, u := range units {
		r.Units = append(r.Units, u.Unit)
	}
	r.Units[0].Name = "quote \" colon: # brace } 换行\n\x01"
	var buf bytes.Buffer
	if err := r.Write(&buf); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Points  []grid.Point `yaml:"points"`
		Devices []struct {
			grid.Device `yaml:",inline"`
			Point       string `yaml:"point"`
		} `yaml:"devices"`
		Units []grid.Unit `yaml:"units"`
	}
	if err := yaml.UnmarshalWithOptions(buf.Bytes(), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if len(got.Points) != 16 || len(got.Devices) != 16 || len(got.Units) != 2 {
		t.Fatalf("%d points, %d devices, %d units", len(got.Points), len(got.Devices), len(got.Units))
	}
	for i, p := range got.Points {
		if p != f.Points[i] {
			t.Errorf("point %d is %+v, want %+v", i, p, f.Points[i])
		}
		if d := got.Devices[i]; d.Point != p.ID || d.Mode != grid.Simulated || d.Interval != 30*time.Second || d.Identity != f.Devices[i].Identity {
			t.Errorf("device %d is %+v", i, d)
		}
	}
	for i, u := range got.Units {
		if !reflect.DeepEqual(u, r.Units[i]) {
			t.Errorf("unit %d is %+v, want %+v", i, u, r.Units[i])
		}
	}
}
