package envelope

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// publishedVectors lies beside the repository and is not part of it.
const publishedVectors = "../../../shared/vectors/envelopes.jsonl"

type published struct {
	Platform string          `json:"platform"`
	Model    string          `json:"model"`
	Envelope json.RawMessage `json:"envelope"`
}

func publishedMessages(t testing.TB) []published {
	file, err := os.Open(filepath.FromSlash(publishedVectors))
	if err != nil {
		t.Skip("no published vectors at ../shared/vectors: skipped")
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	var out []published
	for lines.Scan() {
		var p published
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func chirpStackVectors(t testing.TB) []published {
	var out []published
	for _, p := range publishedMessages(t) {
		if p.Platform == "ChirpStack" {
			out = append(out, p)
		}
	}
	return out
}

// truth is what a published message says, read by encoding/json and by hand.
type truth struct {
	topic, id string
	port      int
	counter   uint32
	at        time.Time
	rssi, snr float32
	gateway   string
	payload   string // hexadecimal
}

func (p *published) truth(t *testing.T) truth {
	var m struct {
		Time       string
		DeviceInfo struct{ DevEui string }
		DevEUI     string // Milesight
		FCnt       uint32
		FPort      int
		Data       string
		RxInfo     []struct {
			GatewayID, Mac string
			Rssi, Snr      float32
			LoRaSNR        float32
		}
		EndDeviceIDs struct {
			DevEUI string `json:"dev_eui"`
			Name   string `json:"device_id"`
		} `json:"end_device_ids"`
		Uplink struct {
			Port       int       `json:"f_port"`
			Counter    uint32    `json:"f_cnt"`
			Payload    []byte    `json:"frm_payload"`
			ReceivedAt time.Time `json:"received_at"`
			Rx         []struct {
				Gateway   struct{ EUI string } `json:"gateway_ids"`
				Rssi, Snr float32
			} `json:"rx_metadata"`
		} `json:"uplink_message"`
		EUI       string // LORIOT
		Ts        int64
		Rssi, Snr float32
		Port      int
	}
	if err := json.Unmarshal(p.Envelope, &m); err != nil {
		t.Fatal(err)
	}
	ofBase64 := func(s string) string {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(b)
	}
	switch {
	case p.Platform == "ChirpStack":
		at, err := time.Parse(time.RFC3339, m.Time)
		if err != nil {
			t.Fatal(err)
		}
		rx := m.RxInfo[0]
		return truth{"application/1/device/" + m.DeviceInfo.DevEui + "/event/up", m.DeviceInfo.DevEui, m.FPort, m.FCnt, at, rx.Rssi, rx.Snr, rx.GatewayID, ofBase64(m.Data)}
	case strings.HasPrefix(p.Platform, "The Things Stack"):
		rx := m.Uplink.Rx[0]
		return truth{"v3/app@ttn/devices/" + m.EndDeviceIDs.Name + "/up", m.EndDeviceIDs.DevEUI, m.Uplink.Port, m.Uplink.Counter, m.Uplink.ReceivedAt, rx.Rssi, rx.Snr, rx.Gateway.EUI, hex.EncodeToString(m.Uplink.Payload)}
	case p.Platform == "LORIOT":
		return truth{"gridgate/loriot/up", m.EUI, m.Port, m.FCnt, time.UnixMilli(m.Ts), m.Rssi, m.Snr, "", m.Data}
	case p.Platform == "Milesight gateway":
		at := time.Date(2020, 3, 27, 12, 39, 5, 547336000, time.UTC) // all of them say "2020-0327T12:39:05.547336Z"
		if m.Time != "2020-0327T12:39:05.547336Z" {
			t.Fatalf("time is %s", m.Time)
		}
		rx := m.RxInfo[0]
		return truth{"gridgate/milesight/up", m.DevEUI, m.FPort, m.FCnt, at, rx.Rssi, rx.LoRaSNR, rx.Mac, ofBase64(m.Data)}
	}
	t.Fatalf("platform is %q", p.Platform)
	return truth{}
}

func TestPublishedMessagesOpenToWhatTheySay(t *testing.T) {
	messages := publishedMessages(t)
	of := map[string]int{}
	for _, p := range messages {
		want := p.truth(t)
		id, envelope, note := Identify(want.topic, p.Envelope)
		f := grid.Frame{Identity: id, Address: want.topic, Envelope: envelope, Raw: p.Envelope}
		if err := Open(&f); err != nil || note != "" {
			t.Errorf("%s %s: %v %s", p.Platform, p.Model, err, note)
			continue
		}
		if string(id) != "eui:"+strings.ToLower(want.id) || f.Kind != grid.Report || f.Port != want.port || f.Counter != want.counter || !f.HasCounter ||
			!f.At.Equal(want.at) || f.RSSIdBm != want.rssi || !f.HasRSSI || f.SNRdB != want.snr || !f.HasSNR ||
			f.Gateway != strings.ToLower(want.gateway) || hex.EncodeToString(f.Payload) != strings.ToLower(want.payload) || f.NotHeard {
			t.Errorf("%s %s: got %s %+v\nwant %+v", p.Platform, p.Model, id, f.Uplink, want)
		}
		of[p.Platform]++
	}
	t.Logf("%d messages: %v", len(messages), of)
}

func BenchmarkPublished(b *testing.B) {
	first := map[string]published{}
	for _, p := range publishedMessages(b) {
		if _, ok := first[p.Platform]; !ok {
			first[p.Platform] = p
		}
	}
	for platform, topic := range map[string]string{
		"ChirpStack": upTopic, "The Things Stack": "v3/app@ttn/devices/eui-1000000000000001/up",
		"LORIOT": "gridgate/loriot/up", "Milesight gateway": "gridgate/milesight/up",
	} {
		raw := first[platform].Envelope
		b.Run("Identify/"+strings.ReplaceAll(platform, " ", ""), func(b *testing.B) {
			r := NewRouter(1000)
			b.ReportAllocs()
			for b.Loop() {
				r.Identify(topic, raw)
			}
		})
		_, name, _ := Identify(topic, raw)
		f := grid.Frame{Envelope: name, Address: topic, Raw: raw}
		b.Run("Open/"+strings.ReplaceAll(platform, " ", ""), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Open(&f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
