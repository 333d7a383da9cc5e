package simulator

import (
	"bytes"
	_ "embed"
	"fmt"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

//go:embed city.yaml
var cityYAML []byte

// CityRules say how a city lives; city.yaml explains each.
type CityRules struct {
	Zone     string                     `yaml:"zone"`
	Weather  WeatherRules               `yaml:"weather"`
	Parking  map[string]ParkingRules    `yaml:"parking"`
	Doors    map[string]DoorRules       `yaml:"doors"`
	Manholes ManholeRules               `yaml:"manholes"`
	Smoke    map[string]SmokeRules      `yaml:"smoke"`
	Battery  BatteryRules               `yaml:"battery"`
	Radio    RadioRules                 `yaml:"radio"`
	Clocks   ClockRules                 `yaml:"clocks"`
	Firmware map[string][]FirmwareShare `yaml:"firmware"`
}

// Curve has a weight for each hour of the day.
type Curve [24]float64

// WeatherRules make the weather.
type WeatherRules struct {
	MeanC   [12]float64 `yaml:"mean_c"`
	WetDays [12]float64 `yaml:"wet_days"`
	SwingC  float64     `yaml:"swing_c"`
	IndoorC float64     `yaml:"indoor_c"`
	Shower  struct {
		Length time.Duration `yaml:"length"`
		Spread float64       `yaml:"spread"`
		MMPerH float64       `yaml:"mm_per_h"`
		PerDay float64       `yaml:"a_day"`
	} `yaml:"shower"`
}

// ParkingRules of one type of street.
type ParkingRules struct {
	Share    float64       `yaml:"share"`
	Arrivals float64       `yaml:"arrivals"`
	Stay     time.Duration `yaml:"stay"`
	Spread   float64       `yaml:"spread"`
	Taken    float64       `yaml:"taken"`
	Rules    string        `yaml:"rules"`
	Week     Curve         `yaml:"week"`
	Weekend  Curve         `yaml:"weekend"`
}

// DoorRules of one type of building.
type DoorRules struct {
	Share    float64       `yaml:"share"`
	Openings float64       `yaml:"openings"`
	Open     time.Duration `yaml:"open"`
	Spread   float64       `yaml:"spread"`
	Wedged   float64       `yaml:"wedged"`
	Wedge    time.Duration `yaml:"wedge"`
	Week     Curve         `yaml:"week"`
	Weekend  Curve         `yaml:"weekend"`
}

// ManholeRules make water of rain.
type ManholeRules struct {
	CatchmentMM float64       `yaml:"catchment_mm"`
	Drains      float64       `yaml:"drains_per_h"`
	Capacity    float64       `yaml:"capacity_mm_per_h"`
	Spread      float64       `yaml:"spread"`
	Look        time.Duration `yaml:"look"`
}

// SmokeRules of one thing that makes false alarms.
type SmokeRules struct {
	Share  float64       `yaml:"share"`
	AYear  float64       `yaml:"a_year"`
	Lasts  time.Duration `yaml:"lasts"`
	Spread float64       `yaml:"spread"`
	Curve  Curve         `yaml:"curve"`
}

// BatteryRules say how batteries empty.
type BatteryRules struct {
	Years float64 `yaml:"years"`
	Frame float64 `yaml:"frame"`
	Cold  float64 `yaml:"cold"`
	Age   float64 `yaml:"age"`
}

// RadioRules say how LoRaWAN devices are heard.
type RadioRules struct {
	SpacingM float64               `yaml:"spacing_m"`
	PowerDBm float64               `yaml:"power_dbm"`
	Loss1m   float64               `yaml:"loss_1m_db"`
	Exponent float64               `yaml:"exponent"`
	Loss     map[grid.Kind]float64 `yaml:"loss_db"`
	Shadow   float64               `yaml:"shadow_db"`
	Fading   float64               `yaml:"fading_db"`
	Car      float64               `yaml:"car_db"`
}

// ClockRules of devices' own clocks.
type ClockRules struct {
	DriftPPM float64 `yaml:"drift_ppm"`
	At1970   float64 `yaml:"at_1970"`
}

// FirmwareShare is a version and how many devices have it.
type FirmwareShare struct {
	Version string  `yaml:"version"`
	Share   float64 `yaml:"share"`
	Profile string  `yaml:"profile"`
}

// DefaultRules are those of city.yaml.
func DefaultRules() *CityRules {
	r, err := ReadRules(cityYAML)
	if err != nil {
		panic("simulator: city.yaml: " + err.Error()) // a test reads it
	}
	return r
}

// ReadRules reads a file such as city.yaml.
func ReadRules(b []byte) (*CityRules, error) {
	var r CityRules
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&r); err != nil {
		return nil, grid.Errorf(grid.Invalid, "city rules: %v", err)
	}
	return &r, r.check()
}

func (r *CityRules) check() error {
	if _, err := time.LoadLocation(r.Zone); err != nil || r.Zone == "" {
		return grid.Errorf(grid.Invalid, "zone is %q: want one such as Asia/Shanghai", r.Zone)
	}
	for name, p := range r.Parking {
		if err := checkLife("parking "+name, p.Share, p.Stay, p.Week, p.Weekend); err != nil {
			return err
		}
	}
	for name, d := range r.Doors {
		if err := checkLife("doors "+name, d.Share, d.Open, d.Week, d.Weekend); err != nil {
			return err
		}
	}
	for name, s := range r.Smoke {
		if err := checkLife("smoke "+name, s.Share, s.Lasts, s.Curve); err != nil {
			return err
		}
	}
	switch {
	case len(r.Parking) == 0 || len(r.Doors) == 0:
		return grid.Errorf(grid.Invalid, "parking or doors have no types: want one or more of each")
	case r.Manholes.Look < time.Minute:
		return grid.Errorf(grid.Invalid, "manholes: look is %v: want a minute or more", r.Manholes.Look)
	case r.Manholes.Drains <= 0 || r.Manholes.Drains >= 1:
		return grid.Errorf(grid.Invalid, "manholes: drains_per_h is %g: want a share", r.Manholes.Drains)
	case r.Battery.Years <= 0:
		return grid.Errorf(grid.Invalid, "battery: years is %g: want more than 0", r.Battery.Years)
	case r.Radio.SpacingM < 100 || r.Radio.Exponent <= 0:
		return grid.Errorf(grid.Invalid, "radio: spacing_m is %g and exponent %g: want 100 or more, and more than 0", r.Radio.SpacingM, r.Radio.Exponent)
	}
	for profile, list := range r.Firmware {
		for _, f := range list {
			if f.Share < 0 || f.Version == "" {
				return grid.Errorf(grid.Invalid, "firmware of %s: want a version and a share for each", profile)
			}
		}
	}
	return nil
}

func checkLife(what string, share float64, length time.Duration, curves ...Curve) error {
	if share < 0 || share > 1 || length <= 0 {
		return grid.Errorf(grid.Invalid, "%s: share is %g and the length %v: want 0 to 1, and more than 0", what, share, length)
	}
	for _, c := range curves {
		sum := 0.0
		for h, w := range c {
			if w < 0 {
				return grid.Errorf(grid.Invalid, "%s: hour %d weighs %g: want 0 or more", what, h, w)
			}
			sum += w
		}
		if sum == 0 {
			return fmt.Errorf("%s: %w", what, grid.Errorf(grid.Invalid, "all hours weigh nothing: want one that does"))
		}
	}
	return nil
}
