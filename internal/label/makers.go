package label

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

const (
	maxPatterns = 200
	maxPattern  = 500 // bytes; the engine of regular expressions takes time linear in the text
)

// Form is one maker's own form of codes, as data. The groups of its pattern are named: identity,
// serial, model, appkey, psk, secret. Capitals are as small letters.
type Form struct {
	Name     string    `yaml:"name" json:"name"`
	Maker    string    `yaml:"maker" json:"maker"`
	Pattern  string    `yaml:"pattern" json:"pattern"`
	Identity string    `yaml:"identity" json:"identity" doc:"What the identity is: eui, mac, imei, sn, tuya."`
	Source   string    `yaml:"source" json:"-"`
	Examples []Example `yaml:"examples" json:"-"`
}

// Example is a code of the form, and what it says.
type Example struct {
	Code     string        `yaml:"code"`
	Identity grid.Identity `yaml:"identity"`
	Serial   string        `yaml:"serial"`
	Model    string        `yaml:"model"`
	Secret   bool          `yaml:"secret"`
}

type pattern struct {
	Form
	re *regexp.Regexp
}

// Parse reads the file of makers' forms and tries each on its examples. All that is wrong is in the error.
func Parse(name string, file []byte) (*Reader, error) {
	var doc struct {
		Labels []Form `yaml:"labels"`
	}
	if err := yaml.UnmarshalWithOptions(file, &doc, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, false))
	}
	if len(doc.Labels) > maxPatterns {
		return nil, fmt.Errorf("%s: %d forms: want at most %d", name, len(doc.Labels), maxPatterns)
	}
	r := &Reader{}
	var errs []error
	for _, f := range doc.Labels {
		p, err := compile(f)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: label %q: %w", name, f.Name, err))
			continue
		}
		r.makers = append(r.makers, p)
	}
	for _, p := range r.makers {
		for _, e := range p.Examples {
			if err := r.try(&p, e); err != nil {
				errs = append(errs, fmt.Errorf("%s: label %q: %w", name, p.Name, err))
			}
		}
	}
	return r, errors.Join(errs...)
}

func compile(f Form) (pattern, error) {
	switch {
	case f.Name == "" || f.Maker == "":
		return pattern{}, errors.New("has no name or no maker")
	case len(f.Pattern) > maxPattern:
		return pattern{}, fmt.Errorf("pattern has %d bytes: want at most %d", len(f.Pattern), maxPattern)
	case !strings.HasPrefix(f.Pattern, "^") || !strings.HasSuffix(f.Pattern, "$"):
		return pattern{}, errors.New("pattern has no ^ and $: want it to take the whole code")
	case !slices.Contains([]string{"eui", "mac", "imei", "sn", "tuya"}, f.Identity):
		return pattern{}, fmt.Errorf("identity is %q: want eui, mac, imei, sn or tuya", f.Identity)
	case len(f.Examples) == 0:
		return pattern{}, errors.New("has no example")
	}
	re, err := regexp.Compile("(?i)" + f.Pattern)
	if err != nil {
		return pattern{}, err
	}
	if re.SubexpIndex("identity") < 0 {
		return pattern{}, errors.New(`pattern has no group named identity`)
	}
	for _, group := range re.SubexpNames() {
		if !slices.Contains([]string{"", "identity", "serial", "model", "appkey", "psk", "secret"}, group) {
			return pattern{}, fmt.Errorf("group is %q: want identity, serial, model, appkey, psk or secret", group)
		}
	}
	return pattern{f, re}, nil
}

func (r *Reader) try(p *pattern, e Example) error {
	c := r.Read(e.Code)
	switch {
	case !p.re.MatchString(e.Code):
		return fmt.Errorf("example %q does not fit the pattern", e.Code)
	case c.Identity() != e.Identity:
		return fmt.Errorf("example %q: identity is %q: want %q", e.Code, c.Identity(), e.Identity)
	case c.Serial != e.Serial || c.Model != e.Model || c.Secret != e.Secret:
		return fmt.Errorf("example %q: serial is %q, model %q, secret %v: want %q, %q, %v", e.Code, c.Serial, c.Model, c.Secret, e.Serial, e.Model, e.Secret)
	}
	return nil
}

func (p *pattern) read(text string) (Code, bool) {
	m := p.re.FindStringSubmatch(text)
	if m == nil {
		return Code{}, false
	}
	c := Code{Kind: Plain, Maker: p.Maker}
	for i, group := range p.re.SubexpNames() {
		if m[i] == "" {
			continue
		}
		switch group {
		case "identity":
			c.add(named(p.Form.Identity, m[i])...)
		case "serial":
			c.Serial = m[i]
		case "model":
			c.Model = m[i]
		case "appkey":
			c.Secret, c.Secrets.AppKey = true, grid.Secret(m[i])
		case "psk":
			c.Secret, c.Secrets.PSK = true, grid.Secret(onlyHex(m[i]))
		case "secret":
			c.Secret, c.Secrets.Other = true, grid.Secret(m[i])
		}
	}
	c.Secret = c.Secret || secretPair.MatchString(text) // in a part that the pattern does not look at
	return c, len(c.Identities) > 0
}
