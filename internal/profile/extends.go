package profile

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
)

// readSpec reads a profile file. What it extends is looked for beside it, then in bases,
// the last first.
func readSpec(fsys fs.FS, file string, bases ...fs.FS) (*profileSpec, error) {
	raw, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, err
	}
	spec, err := parseSpec(raw)
	if err == nil {
		err = spec.JavaScript.resolve(fsys, path.Dir(file))
	}
	if err != nil || spec.Extends == "" {
		return spec, err
	}
	if spec.Extends == spec.Profile {
		return nil, fmt.Errorf("extends is %q: want another profile", spec.Extends)
	}
	for _, from := range slices.Backward(append(slices.Clone(bases), fsys)) {
		raw, err := fs.ReadFile(from, path.Join(spec.Extends, profileFile))
		if err != nil {
			continue
		}
		base, err := parseSpec(raw)
		if err != nil {
			return nil, fmt.Errorf("extends %s: %w", spec.Extends, err)
		}
		if err := base.JavaScript.resolve(from, spec.Extends); err != nil {
			return nil, fmt.Errorf("extends %s: %w", spec.Extends, err)
		}
		return extend(base, spec)
	}
	return nil, fmt.Errorf("extends is %q: no profile is called so", spec.Extends)
}

func parseSpec(raw []byte) (*profileSpec, error) {
	var spec profileSpec
	if err := parseStrict(raw, &spec); err != nil {
		return nil, err
	}
	if spec.Extends != "" && !idForm.MatchString(spec.Extends) {
		return nil, fmt.Errorf("extends is %q: want <vendor>/<model>", spec.Extends)
	}
	return &spec, nil
}

// extend lays a profile over the one it extends: the keys it gives take the place of the
// base's, its signals are added to the base's or take the place of those of the same
// name. Its version names both, so that a frame still says what decoded it.
func extend(base, child *profileSpec) (*profileSpec, error) {
	switch {
	case base.Extends != "":
		return nil, fmt.Errorf("extends is %q, which extends %q: want one level", child.Extends, base.Extends)
	case strings.TrimSpace(child.Version) == "":
		return nil, fmt.Errorf("version is missing")
	}
	out := *base
	if child.Codec != "" {
		dropCodecKeys(&out)
	}
	to, from := reflect.ValueOf(&out).Elem(), reflect.ValueOf(child).Elem()
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	out.Version = child.Version + "+" + base.Version
	out.Signals = maps.Clone(base.Signals)
	for name, rules := range child.Signals {
		if out.Signals == nil {
			out.Signals = map[string]rulesSpec{}
		}
		out.Signals[name] = rules
	}
	return &out, nil
}

// dropCodecKeys clears the keys that belong to a codec kind: another one is chosen.
func dropCodecKeys(s *profileSpec) {
	spec := reflect.ValueOf(s).Elem()
	for i := range spec.NumField() {
		key, _, _ := strings.Cut(spec.Type().Field(i).Tag.Get("yaml"), ",")
		if slices.ContainsFunc(codecKinds, func(k codecKind) bool { return slices.Contains(k.keys, key) }) {
			spec.Field(i).SetZero()
		}
	}
}
