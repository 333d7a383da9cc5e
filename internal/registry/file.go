package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

// file is a registry file: strict YAML (so JSON too).
type file struct {
	Points        []grid.Point        `yaml:"points"`
	Devices       []fileDevice        `yaml:"devices"`
	Installations []grid.Installation `yaml:"installations"` // for devices with more than one channel
	Units         []grid.Unit         `yaml:"units"`
	Sites         []grid.Site         `yaml:"sites"`
	Buildings     []grid.Building     `yaml:"buildings"`
}

// fileDevice is a device with where it is: short for an installation of its main channel,
// or of the channels that Points names.
type fileDevice struct {
	grid.Device `yaml:",inline"`
	Point       string            `yaml:"point"`
	Points      map[string]string `yaml:"points"` // channel → point
	From        time.Time         `yaml:"from"`
}

// maxProblems is how many of a file's mistakes one error names.
const maxProblems = 20

// Parse reads a registry file with points, devices, installations and units. Its error is
// Invalid and names each row that is wrong and what is wished for. What refers to rows that
// are registered already (an installation's point, a profile) is checked by who puts it.
func Parse(b []byte) (grid.Registration, error) { return ParseOn(b, nil) }

// ParseOn is Parse with the borders that say which cell a position lies in; nil: none do.
func ParseOn(b []byte, m *geo.Map) (grid.Registration, error) {
	var f file
	if err := bounded(b); err != nil {
		return grid.Registration{}, grid.Errorf(grid.Invalid, "registry file: %w", err)
	}
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return grid.Registration{}, grid.Errorf(grid.Invalid, "registry file: %w", err)
	}
	r := grid.Registration{Points: f.Points, Installations: f.Installations, Units: f.Units, Sites: f.Sites, Buildings: f.Buildings}
	for _, d := range f.Devices {
		if d.Point != "" {
			r.Installations = append(r.Installations, grid.Installation{Device: d.Identity, Channel: grid.MainChannel, Point: d.Point, From: d.From})
		}
		for _, channel := range slices.Sorted(maps.Keys(d.Points)) {
			r.Installations = append(r.Installations, grid.Installation{Device: d.Identity, Channel: channel, Point: d.Points[channel], From: d.From})
		}
		r.Devices = append(r.Devices, d.Device)
	}
	return r, check(&r, m)
}

// check completes the rows of r with their defaults and reports what is wrong.
func check(r *grid.Registration, m *geo.Map) error {
	c := checker{regions: m}
	for i := range r.Points {
		c.point(&r.Points[i])
	}
	for i := range r.Devices {
		c.device(&r.Devices[i])
	}
	for i := range r.Installations {
		c.installation(&r.Installations[i])
	}
	for i := range r.Units {
		c.unit(&r.Units[i])
	}
	for i := range r.Sites {
		c.site(&r.Sites[i])
	}
	for i := range r.Buildings {
		c.building(&r.Buildings[i])
	}
	c.twice("site", len(r.Sites), func(i int) string { return r.Sites[i].ID })
	c.twice("building", len(r.Buildings), func(i int) string { return r.Buildings[i].ID })
	c.twice("point", len(r.Points), func(i int) string { return r.Points[i].ID })
	c.twice("device", len(r.Devices), func(i int) string { return string(r.Devices[i].Identity) })
	c.twice("unit", len(r.Units), func(i int) string { return r.Units[i].ID })
	c.twice("channel", len(r.Installations), func(i int) string {
		in := &r.Installations[i]
		return fmt.Sprint(in.Device, " ", in.Channel, after(in.From))
	})
	r.Warnings = c.warnings
	if len(c.errs) == 0 {
		return nil
	}
	if more := c.count - len(c.errs); more > 0 {
		c.errs = append(c.errs, fmt.Errorf("and %d more", more))
	}
	return grid.Errorf(grid.Invalid, "registry file: %w", errors.Join(c.errs...))
}

func after(from time.Time) string {
	if from.IsZero() {
		return ""
	}
	return " from " + from.Format(time.RFC3339)
}

// checker collects what is wrong.
type checker struct {
	regions  *geo.Map
	errs     []error
	count    int
	warnings []string
}

func (c *checker) want(ok bool, format string, args ...any) {
	if ok {
		return
	}
	if c.count++; len(c.errs) < maxProblems {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

func (c *checker) ok(err error, format string, args ...any) {
	c.want(err == nil, "%s: %w", fmt.Sprintf(format, args...), err)
}

func (c *checker) point(p *grid.Point) {
	c.want(p.ID != "", "point %q: id is empty: want one", p.Name)
	_, err := grid.ParseKind(string(p.Kind))
	c.ok(err, "point %s", p.ID)
	p.Mode, err = grid.ParseMode(string(p.Mode))
	c.ok(err, "point %s", p.ID)
	warnings, err := geo.Place(p, c.regions, false)
	c.ok(err, "point %s", p.ID)
	for _, w := range warnings {
		if len(c.warnings) < maxProblems {
			c.warnings = append(c.warnings, fmt.Sprintf("point %s: %s", p.ID, w.EN))
		}
	}
	c.place("point "+p.ID, &p.Scope, p.Cell)
}

func (c *checker) device(d *grid.Device) {
	c.identity(d.Identity)
	c.want(d.Profile != "", "device %s: profile is empty: want <vendor>/<model>", d.Identity)
	mode, err := grid.ParseMode(string(d.Mode))
	c.ok(err, "device %s", d.Identity)
	d.Mode = mode
	states := []grid.DeviceState{"", grid.Registered, grid.Installed, grid.Barred, grid.Retired}
	c.want(slices.Contains(states, d.State), "device %s: state is %q: want registered, installed, barred or retired", d.Identity, d.State)
	c.want(d.Interval >= 0, "device %s: interval is %s: want 0 (the profile's) or more", d.Identity, d.Interval)
}

func (c *checker) installation(in *grid.Installation) {
	if in.Channel == "" {
		in.Channel = grid.MainChannel
	}
	c.want(in.Device != "" && in.Point != "", "installation of %q at %q: want a device and a point", in.Device, in.Point)
	c.want(in.To.IsZero() || in.To.After(in.From), "installation of %s: to is %s: want a time after from", in.Device, in.To)
}

func (c *checker) unit(u *grid.Unit) {
	c.want(u.ID != "", "unit %q: id is empty: want one", u.Name)
	c.place("unit "+u.ID, &u.Scope, "")
	kinds := []grid.UnitKind{grid.FireUnit, grid.MicroStation, grid.UrbanManagement, grid.Utility, grid.Property, grid.Committee, grid.Maintenance, grid.Operator, grid.ChannelUnit}
	c.want(slices.Contains(kinds, u.Kind), "unit %s: kind is %q: want one of %v", u.ID, u.Kind, kinds)
	c.want(u.Tier >= 1 && u.Tier <= 4, "unit %s: tier is %d: want 1 to 4", u.ID, u.Tier)
	mode, err := grid.ParseMode(string(u.Mode))
	c.ok(err, "unit %s", u.ID)
	u.Mode = mode
	switch u.Connector {
	case "", "inbox":
		u.Connector = "inbox"
	case "webhook":
		address, err := url.Parse(u.URL)
		c.want(err == nil && address.Host != "" && (address.Scheme == "https" || address.Scheme == "http"), "unit %s: url is %q: want https://…", u.ID, u.URL)
		c.want(u.Secret != "", "unit %s: secret is empty: want whsec_… to sign with", u.ID)
	default: // what each of the others asks for, the gateway knows that has them
	}
	if u.Test != "" && u.Test != "off" {
		d, err := time.ParseDuration(u.Test)
		c.want(err == nil && d >= time.Minute && d <= 2*time.Hour, "unit %s: test is %q: want a time from 1m to 2h, or off", u.ID, u.Test)
	}
	c.want(u.Term.IsZero() || u.Kind == grid.Maintenance, "unit %s: term is of a %s unit: want it of kind %s alone", u.ID, u.Kind, grid.Maintenance)
	c.want(u.Term.To.IsZero() || u.Term.To.After(u.Term.From), "unit %s: term is %s: want to after from", u.ID, u.Term)
	c.want(slices.Contains([]string{"", "auto", "confirmed_only", "operator"}, u.Entry), "unit %s: entry is %q: want auto, confirmed_only or operator", u.ID, u.Entry)
}

// twice reports ids that stand in the file more than once.
func (c *checker) twice(what string, n int, id func(int) string) {
	seen := make(map[string]bool, n)
	for i := range n {
		c.want(!seen[id(i)], "%s %s is in the file twice: want it once", what, id(i))
		seen[id(i)] = true
	}
}
