package simulator

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

// vector is a message that a maker has published, with what it means.
type vector struct {
	Model    string          `json:"model"`
	Port     int             `json:"fport"`
	Hex      string          `json:"hex"`
	Expected json.RawMessage `json:"expected"`
}

// vectors reads the published messages beside the module; a test without them says so.
func vectors(t *testing.T) []vector {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "shared", "vectors", "devices.jsonl"))
	if err != nil {
		t.Skip("published device messages are not here: ../../shared/vectors/devices.jsonl")
	}
	defer f.Close()
	var out []vector
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// TestEncodersMakeWhatMakersPublished gives each encoder the state that a published
// message describes and wants the very bytes back.
func TestEncodersMakeWhatMakersPublished(t *testing.T) {
	state := func(change func(*State)) State { s := Normal(); change(&s); return s }
	cases := []struct {
		model string // in the vectors
		hex   string
		from  func(State, memory, Why, time.Time) (int, []byte)
		state State
		mem   memory
		why   Why
	}{
		{"WS301", "017564030001040001", ws301, state(func(s *State) { s.Battery, s.Open, s.Tamper = 100, true, true }), memory{}, Heartbeat},
		{"TPS110 fw0.29.2", "01", tps110, state(func(s *State) { s.Occupied = true }), memory{}, Edge},
		{"TPS110 fw0.29.2", "01ff", tps110, state(func(s *State) { s.Occupied, s.Celsius = true, -1 }), memory{}, Heartbeat},
		{"TPS110 (Parking Lot Sensor)", "0112", tps110, state(func(s *State) { s.Occupied = true }), memory{}, Heartbeat},
		{"NPS405 (G4)", "95", nps405, state(func(s *State) { s.Occupied = true }), memory{lastSpan: 74 * time.Minute}, Edge},
		{"NPS405 (G4)", "0204090200", nps405, Normal(), memory{}, Startup},
		{"RA02A", "010a006415202008110000", ra02a, Normal(), memory{}, Startup},
		{"RA02A", "010a011e010104b0000000", ra02a, state(func(s *State) { s.Smoke, s.Heat, s.Celsius, s.Battery = true, true, 120, 90 }), memory{}, Edge},
	}
	all := vectors(t)
	for _, c := range cases {
		i := slices.IndexFunc(all, func(v vector) bool { return v.Model == c.model && v.Hex == c.hex })
		if i < 0 {
			t.Errorf("%s %s is not among the published messages", c.model, c.hex)
			continue
		}
		port, payload := c.from(c.state, c.mem, c.why, time.Now())
		if got := hex.EncodeToString(payload); got != c.hex || port != all[i].Port {
			t.Errorf("%s: port %d %s, published is port %d %s: %s", c.model, port, got, all[i].Port, c.hex, all[i].Expected)
		}
	}
}

// TestLayoutsThatNoMessageProves covers bytes that differ from the published example
// (an example cannot say everything) or where the example is truncated.
func TestLayoutsThatNoMessageProves(t *testing.T) {
	check := func(name string, port int, got []byte, wantPort int, want string) {
		t.Helper()
		if port != wantPort || hex.EncodeToString(got) != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s: port %d %x, want port %d %s", name, port, got, wantPort, want)
		}
	}
	s := Normal()
	port, p := dc410(s, memory{frames: 1}, Heartbeat, time.Now())
	check("DC410 at rest", port, p, 3, "80 00 01 02 11 06a4 00 12 00 00 00 00 0001 00 81")
	s.Open, s.Tilt, s.Battery = true, -75, 10
	port, p = dc410(s, memory{frames: 258}, Edge, time.Now())
	check("DC410 open", port, p, 3, "80 00 01 01 11 06a4 00 12 01 4b 00 11 0102 00 81")

	s = Normal()
	s.Open, s.Battery = true, 100
	port, p = lds02(s, memory{opens: 259, lastOpen: 65 * time.Minute}, Edge, time.Now())
	check("LDS02 open", port, p, 10, "8bb8 01 000103 000041 00")

	port, p = em310tilt(Normal(), memory{}, Heartbeat, time.Now())
	check("EM310-TILT level", port, p, 85, "01 75 60 03cf 0000 0000 2823 00")
	s = Normal()
	s.Tilt = 70
	port, p = em310tilt(s, memory{}, Edge, time.Now())
	check("EM310-TILT tipped", port, p, 85, "01 75 60 03cf 581b bc02 d007 05")

	s = Normal()
	s.Battery = 10
	port, p = ra02a(s, memory{}, Heartbeat, time.Now())
	check("RA02A with a low battery", port, p, 6, "01 0a 01 96 00 00 00b4 000000")
}

func TestADurationIsSqueezedAsTheMakerSays(t *testing.T) {
	for min, want := range map[int]byte{0: 0, 74: 74, 89: 89, 90: 90, 160: 104, 164: 104, 239: 119, 240: 120, 659: 126, 660: 127, 9999: 127} {
		if got := squeeze(time.Duration(min) * time.Minute); got != want {
			t.Errorf("%d min: %d, want %d", min, got, want)
		}
	}
}

func TestZigbeeSensorRepeatsItsWholeState(t *testing.T) {
	s := Normal()
	s.Smoke, s.Battery = true, 9
	_, p := zigbeeSmoke(s, memory{}, Edge, time.Now())
	var got map[string]any
	if err := json.Unmarshal(p, &got); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{"smoke": true, "test": false, "tamper": false, "battery_low": true, "battery": 9.0} {
		if got[k] != want {
			t.Errorf("%s = %v, want %v", k, got[k], want)
		}
	}
}

func TestChirpStackLeavesOutWhatIsZero(t *testing.T) {
	f := NewFleet(1, 1)
	at := time.Date(2026, 3, 1, 0, 0, 0, 500_000_000, time.UTC)
	read := func(m Message) (up map[string]any) {
		if err := json.Unmarshal(m.Payload, &up); err != nil {
			t.Fatal(err)
		}
		return up
	}
	first := f.Report(f.Devices[0], Heartbeat, at)
	up := read(first)
	if _, there := up["fCnt"]; there {
		t.Error("a counter of 0 is written")
	}
	if _, there := up["confirmed"]; there {
		t.Error("confirmed: false is written")
	}
	if want := "application/" + application + "/device/" + f.Devices[0].EUI + "/event/up"; first.Topic != want {
		t.Errorf("topic %s, want %s", first.Topic, want)
	}
	if up["time"] != "2026-03-01T00:00:00.5+00:00" || up["fPort"] != 85.0 {
		t.Errorf("time %v, port %v", up["time"], up["fPort"])
	}
	up = read(f.Report(f.Devices[0], Heartbeat, at))
	data, err := base64.StdEncoding.DecodeString(up["data"].(string))
	if err != nil || up["fCnt"] != 1.0 || len(data) != 9 {
		t.Errorf("fCnt %v, data %x, %v", up["fCnt"], data, err)
	}
}

func TestTheSameSeedMakesTheSameFrames(t *testing.T) {
	make := func(seed uint64) (out []Message) {
		p := Player{Fleet: NewFleet(40, seed), Play: Play{Scenario: Mixed}}
		for n := range 500 {
			m := p.next(n)
			m.At = time.Time{}
			if i := bytes.Index(m.Payload, []byte(`"data"`)); i > 0 {
				m.Payload = m.Payload[i : i+20] // times differ
			}
			out = append(out, m)
		}
		return out
	}
	if !reflect.DeepEqual(make(7), make(7)) {
		t.Error("two runs of one seed differ")
	}
	if reflect.DeepEqual(make(7), make(8)) {
		t.Error("two seeds make the same")
	}
}

func TestPlacesOfAFleetLieInTheDistrict(t *testing.T) {
	f := NewFleet(2000, 1)
	seen := map[grid.Identity]bool{}
	for i, p := range f.Points {
		if len(p.Street) != 9 || !strings.HasPrefix(p.Street, p.District) {
			t.Fatalf("point %s: street %s", p.ID, p.Street)
		}
		if p.Lon < 121.33 || p.Lon > 121.45 || p.Lat < 31.18 || p.Lat > 31.24 {
			t.Fatalf("point %s is at %f %f, outside the district", p.ID, p.Lon, p.Lat)
		}
		if d := f.Devices[i]; seen[d.Identity] || p.Mode != grid.Simulated {
			t.Fatalf("device %s twice, or point of mode %s", d.Identity, p.Mode)
		} else {
			seen[d.Identity] = true
		}
	}
}
