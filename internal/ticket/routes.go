package ticket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Routes are the rules by which calls find their units, and how people are called. They do
// not change after ParseRoutes. The nil Routes have no rules and call nobody.
type Routes struct {
	file     string
	rules    []routeRule
	owners   []ownerYAML
	fallback map[int]routeTo
	chains   Chains
}

// theOwner stands in a list of units for the owner of the point's component.
const theOwner = "owner"

// routeTo names units, by id or by kind.
type routeTo struct {
	Units []string        `yaml:"units"`
	Kinds []grid.UnitKind `yaml:"kinds"`
}

type routeRule struct {
	Name  string    `yaml:"name"`
	Match matchYAML `yaml:"match"`
	Units []string  `yaml:"units"`
	Kinds []grid.UnitKind

	hours calendar.Hours
}

// matchYAML is what must be so. A list fits by any of its members, and what is not there fits.
type matchYAML struct {
	Types            []grid.EventType `yaml:"types"`
	Kinds            []grid.Kind      `yaml:"kinds"`
	Streets          []string         `yaml:"streets"`
	Communities      []string         `yaml:"communities"`
	Cells            []string         `yaml:"cells"`
	ComponentClasses []string         `yaml:"component_classes"`
	Owners           []string         `yaml:"owners"`
	Tiers            []int            `yaml:"tiers"`
	Calls            []grid.UnitKind  `yaml:"calls"` // the plan calls one of these: the rule may put another kind in its place
	During           string           `yaml:"during"`
	Outside          string           `yaml:"outside"`
}

// ownerYAML says whose a component is: by the beginning of its code, or its class.
type ownerYAML struct {
	Component string `yaml:"component"`
	Class     string `yaml:"class"`
	Unit      string `yaml:"unit"`
}

type ruleYAML struct {
	Name  string          `yaml:"name"`
	Match matchYAML       `yaml:"match"`
	Units []string        `yaml:"units"`
	Kinds []grid.UnitKind `yaml:"kinds"`
}

type routesYAML struct {
	Routes   []ruleYAML      `yaml:"routes"`
	Owners   []ownerYAML     `yaml:"owners"`
	Fallback map[int]routeTo `yaml:"fallback"`
	Chains   *chainsYAML     `yaml:"chains"`
}

// ParseRoutes reads a routes file. name stands in errors, which name the key and the wish.
// Whether the units are registered is asked by Check, once they are known.
func ParseRoutes(name string, data []byte, calendars *calendar.Calendars) (*Routes, error) {
	var f routesYAML
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: a second document: want one", name)
	}
	r := &Routes{file: name, owners: f.Owners, fallback: f.Fallback}
	fail := func(where string, err error) (*Routes, error) {
		return nil, grid.Errorf(grid.Invalid, "%s: %s: %w", name, where, err)
	}
	names := map[string]bool{}
	for i, y := range f.Routes {
		rule, err := y.rule(calendars)
		if err == nil && names[y.Name] {
			err = errors.New("name is there twice: want each rule under its own")
		}
		if err != nil {
			return fail(fmt.Sprintf("routes[%d] %q", i, y.Name), err)
		}
		names[y.Name] = true
		r.rules = append(r.rules, rule)
	}
	for i, o := range f.Owners {
		if err := o.check(); err != nil {
			return fail(fmt.Sprintf("owners[%d]", i), err)
		}
	}
	for _, tier := range slices.Sorted(maps.Keys(f.Fallback)) {
		if err := f.Fallback[tier].check(tier); err != nil {
			return fail(fmt.Sprintf("fallback.%d", tier), err)
		}
	}
	var err error
	if r.chains, err = f.Chains.chains(); err != nil {
		return fail("chains", err)
	}
	return r, nil
}

func (y ruleYAML) rule(calendars *calendar.Calendars) (routeRule, error) {
	r := routeRule{Name: y.Name, Match: y.Match, Units: y.Units, Kinds: y.Kinds}
	m := &y.Match
	switch {
	case y.Name == "":
		return r, errors.New("name is missing: want one, it stands in the history of tickets")
	case len(y.Units)+len(y.Kinds) == 0:
		return r, errors.New("units and kinds are missing: want one of them at least")
	case m.During != "" && m.Outside != "":
		return r, errors.New("match has during and outside: want one of them")
	}
	if err := knownKinds(y.Kinds); err != nil {
		return r, err
	}
	if err := knownKinds(m.Calls); err != nil {
		return r, fmt.Errorf("match.calls: %w", err)
	}
	for _, k := range m.Kinds {
		if _, err := grid.ParseKind(string(k)); err != nil {
			return r, fmt.Errorf("match.kinds: %w", err)
		}
	}
	for _, t := range m.Tiers {
		if t < 1 || t > 4 {
			return r, fmt.Errorf("match.tiers: %d: want 1 to 4", t)
		}
	}
	for what, codes := range map[string]struct {
		list   []string
		digits int
	}{"streets": {m.Streets, 9}, "communities": {m.Communities, 12}, "cells": {m.Cells, 15}, "component_classes": {m.ComponentClasses, 4}} {
		for _, c := range codes.list {
			if len(c) != codes.digits || strings.Trim(c, "0123456789") != "" {
				return r, fmt.Errorf("match.%s: %q: want %d digits", what, c, codes.digits)
			}
		}
	}
	if name := m.During + m.Outside; name != "" {
		c, err := calendars.Get(name)
		if err != nil {
			return r, fmt.Errorf("match.during: %w", err)
		}
		r.hours = calendar.Hours{Calendar: c, Outside: m.Outside != ""}
	}
	return r, nil
}

func knownKinds(kinds []grid.UnitKind) error {
	for _, k := range kinds {
		if !slices.Contains(unitKinds, k) {
			return fmt.Errorf("kinds: %q is unknown: want one of %v", k, unitKinds)
		}
	}
	return nil
}

func (o ownerYAML) check() error {
	code := o.Component + o.Class
	switch {
	case o.Unit == "":
		return errors.New("unit is missing: want whose the component is")
	case (o.Component == "") == (o.Class == ""), strings.Trim(code, "0123456789") != "", len(o.Component) > 16, o.Class != "" && len(o.Class) != 4:
		return fmt.Errorf("is {component: %q, class: %q}: want the first digits of component codes, or a class of 4 digits", o.Component, o.Class)
	}
	return nil
}

func (f routeTo) check(tier int) error {
	if tier < 1 || tier > 4 {
		return errors.New("want tiers 1 to 4")
	}
	if len(f.Units)+len(f.Kinds) == 0 {
		return errors.New("units and kinds are missing: want one of them at least")
	}
	if slices.Contains(f.Units, theOwner) {
		return errors.New("units: owner is for rules: want registered units")
	}
	return knownKinds(f.Kinds)
}

// owner gives whose a component is; "" when nobody knows.
func (r *Routes) owner(component string) string {
	if component == "" {
		return ""
	}
	for _, o := range r.owners {
		if o.Component != "" && strings.HasPrefix(component, o.Component) || o.Class != "" && componentClass(component) == o.Class {
			return o.Unit
		}
	}
	return ""
}

// componentClass is the class in a component's code: its digits after those of the county.
func componentClass(component string) string {
	if len(component) != 16 {
		return ""
	}
	return component[6:10]
}

// mismatch says why a rule does not fit; "" when it does.
func (r *routeRule) mismatch(w *routing) string {
	m, a := &r.Match, &w.a
	differs := func(what, is string, want []string) string {
		if len(want) == 0 || slices.Contains(want, is) {
			return ""
		}
		return fmt.Sprintf("%s is %q, it is for %s", what, is, strings.Join(want, ", "))
	}
	owner := ""
	if len(m.Owners) > 0 {
		owner = w.r.owner(a.Component)
	}
	for _, why := range []string{
		differs("type", string(a.Type), texts(m.Types)), differs("kind of point", string(a.Kind), texts(m.Kinds)),
		differs("street", a.Street, m.Streets), differs("community", a.Community, m.Communities), differs("cell", a.Cell, m.Cells),
		differs("class of component", componentClass(a.Component), m.ComponentClasses), differs("owner", owner, m.Owners),
	} {
		if why != "" {
			return why
		}
	}
	if len(m.Tiers) > 0 && !slices.Contains(m.Tiers, a.Tier) {
		return fmt.Sprintf("tier is %d, it is for %v", a.Tier, m.Tiers)
	}
	if len(m.Calls) > 0 && !slices.ContainsFunc(a.Kinds, func(k grid.UnitKind) bool { return slices.Contains(m.Calls, k) }) {
		return fmt.Sprintf("the plan calls %s, it is for %s", kindsText(a.Kinds), kindsText(m.Calls))
	}
	if !r.hours.Contains(a.At) {
		return fmt.Sprintf("%s is not within its hours (%s)", a.At.Format(timeLayout), r.hoursText())
	}
	return ""
}

func (r *routeRule) hoursText() string {
	if r.Match.Outside != "" {
		return "outside " + r.Match.Outside
	}
	return "during " + r.Match.During
}

// kindsFor are the rule's kinds that the call may take.
func (r *routeRule) kindsFor(a *Ask) (out []grid.UnitKind) {
	w := routing{a: *a}
	for _, k := range r.Kinds {
		if w.kindDoes(k, len(r.Match.Calls) > 0) {
			out = append(out, k)
		}
	}
	return out
}

func texts[T ~string](list []T) (out []string) {
	for _, v := range list {
		out = append(out, string(v))
	}
	return out
}

// Check says which units the routes name that are not registered.
func (r *Routes) Check(units []grid.Unit) error {
	if r == nil {
		return nil
	}
	var errs []error
	want := func(where string, ids ...string) {
		for _, id := range ids {
			if id != theOwner && !slices.ContainsFunc(units, func(u grid.Unit) bool { return u.ID == id }) {
				errs = append(errs, grid.Errorf(grid.Invalid, "%s: %s: unit %q is not registered: want one of the registry", r.file, where, id))
			}
		}
	}
	for _, rule := range r.rules {
		want(fmt.Sprintf("routes %q", rule.Name), rule.Units...)
		want(fmt.Sprintf("routes %q: match.owners", rule.Name), rule.Match.Owners...)
	}
	for i, o := range r.owners {
		want(fmt.Sprintf("owners[%d]", i), o.Unit)
	}
	for _, tier := range slices.Sorted(maps.Keys(r.fallback)) {
		want(fmt.Sprintf("fallback.%d", tier), r.fallback[tier].Units...)
	}
	for _, c := range slices.Sorted(maps.Keys(r.chains.Channels)) {
		want("chains.channels."+string(c), r.chains.Channels[c]...)
	}
	return errors.Join(errs...)
}

// Chains gives how people are called.
func (r *Routes) Chains() Chains {
	if r == nil {
		return Chains{}
	}
	return r.chains
}

// Chains says when people are called, and how.
type Chains struct {
	Wait       time.Duration // nobody has answered for so long: the next
	Priorities []grid.Priority
	Types      []grid.EventType          // these too, whatever their priority
	Call       []string                  // whom: unit, point, building
	Channels   map[grid.Channel][]string // the registered units that carry calls of a channel; none: a person at the desk calls
	Lead       string                    // "seat:…" or "unit:…", on whose duty falls what nobody answers
	Most       int                       // calls of one chain
}

type chainsYAML struct {
	Wait       time.Duration             `yaml:"wait"`
	Priorities []int                     `yaml:"priorities"`
	Types      []grid.EventType          `yaml:"types"`
	Call       []string                  `yaml:"call"`
	Channels   map[grid.Channel][]string `yaml:"channels"`
	Lead       string                    `yaml:"lead"`
	Most       int                       `yaml:"most"`
}

func (y *chainsYAML) chains() (Chains, error) {
	if y == nil {
		return Chains{}, nil
	}
	c := Chains{Wait: y.Wait, Types: y.Types, Call: y.Call, Channels: y.Channels, Lead: y.Lead, Most: y.Most}
	if c.Most == 0 {
		c.Most = mostCalls
	}
	for _, p := range y.Priorities {
		if p < 1 || p > 4 {
			return c, fmt.Errorf("priorities: %d: want 1 to 4", p)
		}
		c.Priorities = append(c.Priorities, grid.Priority(p))
	}
	if c.Wait < minWait || c.Wait > maxWait {
		return c, fmt.Errorf("wait is %s: want %s to %s", c.Wait, minWait, maxWait)
	}
	if c.Most < 1 || c.Most > maxCalls {
		return c, fmt.Errorf("most is %d: want 1 to %d", c.Most, maxCalls)
	}
	for _, who := range c.Call {
		if !slices.Contains([]string{ofUnit, ofPoint, ofBuilding}, who) {
			return c, fmt.Errorf("call: %q is unknown: want unit, point or building", who)
		}
	}
	for _, ch := range slices.Sorted(maps.Keys(c.Channels)) {
		if !slices.Contains([]grid.Channel{grid.Voice, grid.SMS, grid.App, grid.Chat}, ch) {
			return c, fmt.Errorf("channels: %q is unknown: want voice, sms, app or chat", ch)
		}
	}
	if kind, _, ok := strings.Cut(c.Lead, ":"); c.Lead != "" && (!ok || kind != "seat" && kind != "unit") {
		return c, fmt.Errorf("lead is %q: want seat:… or unit:…", c.Lead)
	}
	return c, nil
}

const (
	minWait   = 5 * time.Second
	maxWait   = time.Hour
	mostCalls = 12
	maxCalls  = 50

	ofUnit, ofPoint, ofBuilding = "unit", "point", "building"
)

// WantsComponents reports whether a rule asks for the component of a point.
func (r *Routes) WantsComponents() bool {
	return r != nil && (len(r.owners) > 0 || slices.ContainsFunc(r.rules, func(rule routeRule) bool { return len(rule.Match.ComponentClasses) > 0 }))
}
