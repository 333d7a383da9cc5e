package grid

import (
	"encoding/json"
	"strconv"
	"time"
)

// Signal is one of the canonical signals that profiles map to. The zero value is no signal.
type Signal uint8

// The canonical signals. Units of measure are UCUM (see SignalSpec). New ones go to the end:
// checkpoints hold the numbers.
const (
	NoSignal Signal = iota
	DoorOpen
	ParkingOccupied
	ManholeOpen
	ManholeTilt
	ManholeLevel
	ManholeFlooded
	SmokeAlarm
	SmokeDensity
	Temperature
	Tamper
	Fault
	TestPress
	BatteryLevel
	BatteryVoltage
	BatteryLow
	RSSI
	SNR
	SmokeHush    // the sounder is silenced: unable to tell, a person decides
	DeviceRemove // removed from its base
	EndOfLife    // to be replaced
	HeatAlarm    // a heat detector's alarm, or the heat part of a combined one
	SmokeDirty   // the chamber is dirty: to be cleaned
	Interconnect // sounds because another detector does: never an alarm of its own
	ManholeGap   // from the sensor under the cover down to the water: no level without the height it hangs at
	BatteryDays  // until the battery is empty, as its trend foretells: worked out by the engine
	SignalCount  // how many there are, with NoSignal
)

// SignalSpec describes a signal: its name, whether it is a condition (true/false), its
// unit of measure (UCUM, "" for none) and the measurement it is stored in.
type SignalSpec struct {
	Name        string
	Bool        bool
	UOM         string
	Measurement string // "" : rides on the frame's main measurement
	Field       string
}

// Signals is indexed by Signal.
var Signals = [SignalCount]SignalSpec{
	NoSignal:        {},
	DoorOpen:        {"door.open", true, "", "door", "open"},
	ParkingOccupied: {"parking.occupied", true, "", "parking", "occupied"},
	ManholeOpen:     {"manhole.open", true, "", "manhole", "open"},
	ManholeTilt:     {"manhole.tilt", false, "deg", "manhole", "tilt_deg"},
	ManholeLevel:    {"manhole.level", false, "m", "manhole", "level_m"},
	ManholeFlooded:  {"manhole.flooded", true, "", "manhole", "flooded"},
	SmokeAlarm:      {"smoke.alarm", true, "", "smoke", "alarm"},
	SmokeDensity:    {"smoke.density", false, "%/m", "smoke", "density"},
	Temperature:     {"temperature", false, "Cel", "", "temperature_cel"},
	Tamper:          {"tamper", true, "", "", "tamper"},
	Fault:           {"fault", true, "", "", "fault"},
	TestPress:       {"test", true, "", "", "test"},
	BatteryLevel:    {"battery.level", false, "%", "", "battery_pct"},
	BatteryVoltage:  {"battery.voltage", false, "V", "", "battery_v"},
	BatteryLow:      {"battery.low", true, "", "", "battery_low"},
	RSSI:            {"rssi", false, "dB[mW]", "", "rssi_dbm"},
	SNR:             {"snr", false, "dB", "", "snr_db"},
	SmokeHush:       {"smoke.hush", true, "", "smoke", "hush"},
	DeviceRemove:    {"removed", true, "", "", "removed"},
	EndOfLife:       {"end_of_life", true, "", "", "end_of_life"},
	HeatAlarm:       {"heat.alarm", true, "", "smoke", "heat"},
	SmokeDirty:      {"smoke.dirty", true, "", "smoke", "dirty"},
	Interconnect:    {"smoke.interconnect", true, "", "smoke", "interconnect"},
	BatteryDays:     {"battery.days", false, "d", "", "battery_days"},
	ManholeGap:      {"manhole.gap", false, "m", "manhole", "gap_m"},
}

func (s Signal) String() string {
	if s >= SignalCount {
		return "signal(" + strconv.Itoa(int(s)) + ")"
	}
	return Signals[s].Name
}

// ParseSignal finds a canonical signal by its name.
func ParseSignal(name string) (Signal, error) {
	for s := NoSignal + 1; s < SignalCount; s++ {
		if Signals[s].Name == name {
			return s, nil
		}
	}
	return 0, Errorf(Invalid, "signal is %q: want one of the canonical signals, for example door.open", name)
}

// MarshalText and UnmarshalText use the canonical name.
func (s Signal) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Signal) UnmarshalText(b []byte) (err error) { *s, err = ParseSignal(string(b)); return }

// MainChannel is the channel of a device that has only one.
const MainChannel = "main"

// Reading is one normalised value of one signal.
type Reading struct {
	Signal  Signal
	Channel string    // "" is MainChannel
	Value   float64   // conditions are 1 (true) or 0; never NaN or infinite
	At      time.Time // device time of this value; zero: the frame's own time
	History bool      // the profile says this is a record of the past
	Suspect bool      // outside the range the profile gives: kept and marked
}

// Bool reads the value of a condition.
func (r Reading) Bool() bool { return r.Value != 0 }

// MarshalJSON gives the shape that `gridgate profile decode` promises:
// {"signal","value","uom"?,"channel"?,"at"?,"history"?,"suspect"?}; conditions are true or false.
func (r Reading) MarshalJSON() ([]byte, error) {
	out := struct {
		Signal  Signal     `json:"signal"`
		Value   any        `json:"value"`
		UOM     string     `json:"uom,omitempty"`
		Channel string     `json:"channel,omitempty"`
		At      *time.Time `json:"at,omitempty"`
		History bool       `json:"history,omitempty"`
		Suspect bool       `json:"suspect,omitempty"`
	}{Signal: r.Signal, Value: r.Value, UOM: Signals[r.Signal].UOM, Channel: r.Channel, History: r.History, Suspect: r.Suspect}
	if Signals[r.Signal].Bool {
		out.Value = r.Value != 0
	}
	if !r.At.IsZero() {
		out.At = &r.At
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads that shape back.
func (r *Reading) UnmarshalJSON(b []byte) error {
	var in struct {
		Signal  Signal
		Value   any
		Channel string
		At      time.Time
		History bool
		Suspect bool
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*r = Reading{Signal: in.Signal, Channel: in.Channel, At: in.At, History: in.History, Suspect: in.Suspect}
	switch v := in.Value.(type) {
	case float64:
		r.Value = v
	case bool:
		if v {
			r.Value = 1
		}
	}
	return nil
}

// Decoded is what a profile makes of one frame. What a frame does not say is absent.
type Decoded struct {
	Profile     string    // "<vendor>/<model>@<version>" that decoded it
	Readings    []Reading //
	Sequence    uint32    // the device's own counter, if the profile has one
	HasSequence bool      //
	DeviceTime  time.Time // the device's clock for the frame; zero when not said
	Restart     bool      // a start-up frame: counters begin anew
	Answer      bool      // answers a downlink: counted as ignored
	Warnings    []string  // what was left out and why

	// Labels are the names the device itself has for its channels; nil when it says none.
	Labels map[string]string
	// ContentKey tells a repeat from news where the payload also holds what changes with
	// every sending, such as its send time; 0: the whole payload tells.
	ContentKey uint32
}

// LiveValue is the newest value of one signal at a point, as the engine holds it in memory.
type LiveValue struct {
	Signal   Signal    `json:"signal"`
	Value    float64   `json:"value"`
	At       time.Time `json:"at"`             // device time if believed, else received
	Received time.Time `json:"received"`       // by our clock
	Since    time.Time `json:"since,omitzero"` // a condition has had this value since then
	Device   Identity  `json:"device"`
	Channel  string    `json:"channel,omitempty"`
	Suspect  bool      `json:"suspect,omitempty"` // outside the range the profile gives
}

// DeviceHealth is how the engine sees a device now.
type DeviceHealth struct {
	Identity   Identity  `json:"identity"`
	LastHeard  time.Time `json:"last_heard,omitzero"`
	Frames     int64     `json:"frames"`     // since the gateway started
	Duplicates int64     `json:"duplicates"` // of them
	Counter    *uint32   `json:"counter,omitempty"`
	Offline    bool      `json:"offline"`
	Gone       bool      `json:"gone,omitempty"`      // its will says that its connection ended, and nothing came from it since
	ClockOff   bool      `json:"clock_off,omitempty"` // its clock is more than 120 s off: not believed
	NextDue    time.Time `json:"next_due,omitzero"`   // silent after this: offline
	BatteryPct *float64  `json:"battery_pct,omitempty"`
	// BatteryDays is how long its battery lasts, as its trend foretells; absent in the first two weeks.
	BatteryDays *float64 `json:"battery_days,omitempty"`
	RSSIdBm     *float64 `json:"rssi_dbm,omitempty"`
	SNRdB       *float64 `json:"snr_db,omitempty"`
	Lane        string   `json:"lane,omitempty"`
}
