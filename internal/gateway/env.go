package gateway

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/goccy/go-yaml"
)

const envPrefix = "GRIDGATE_"

// notSettings are variables with our prefix that are no settings: for the command line
// as a client, and for tests and the build.
var notSettings = [...]string{
	"GRIDGATE_API",           // where the command line finds the API
	"GRIDGATE_TOKEN",         // what it shows there
	"GRIDGATE_CONFIG",        // the configuration file, where --config names none
	"GRIDGATE_REQUIRE_PEERS", // tests: a missing peer program is a failure
	"GRIDGATE_INFLUXD",       // tests and demo: the influxd 1.8 to use
	"GRIDGATE_INFLUXD2",      // tests: the influxd 2.7 to use
	"GRIDGATE_TEST_",         // tests: everything that begins so
}

// fromEnv sets GRIDGATE_<KEY> and GRIDGATE_<SECTION>_<KEY>. A variable with our prefix
// that names no setting is an error: a typing mistake must not pass in silence.
func (c *Config) fromEnv(environ []string) error {
	keys := settable(reflect.ValueOf(c).Elem(), envPrefix)
	var v problems
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, envPrefix) || notSetting(name) {
			continue
		}
		field, ok := keys[name]
		if !ok {
			v.want(false, "environment: %s names no setting%s", name, nearest(name, keys))
			continue
		}
		if err := setField(field, value); err != nil {
			v.want(false, "environment: %s is %q: %w", name, value, err)
		}
	}
	return errors.Join(v...)
}

func notSetting(name string) bool {
	for _, n := range notSettings {
		if name == n || strings.HasSuffix(n, "_") && strings.HasPrefix(name, n) {
			return true
		}
	}
	return false
}

// settable finds every field that one variable can hold, by its variable's name. Lists of
// sections (mqtt, credentials) cannot be set so: they belong in the file.
func settable(v reflect.Value, prefix string) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		key := prefix + strings.ToUpper(v.Type().Field(i).Tag.Get("yaml"))
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct:
			for k, inner := range settable(f, key+"_") {
				out[k] = inner
			}
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
		default:
			out[key] = f
		}
	}
	return out
}

// setField reads value as the file would; a list is separated by commas.
func setField(f reflect.Value, value string) error {
	switch {
	case f.Kind() == reflect.String:
		f.SetString(value)
		return nil
	case f.Kind() == reflect.Slice:
		value = "[" + value + "]"
	}
	if err := yaml.UnmarshalWithOptions([]byte(value), f.Addr().Interface(), yaml.Strict()); err != nil {
		return fmt.Errorf("want a value as in configs/gridgate.yaml, not this: %s", firstLine(err))
	}
	return nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// nearest offers the settings of the same section.
func nearest(name string, keys map[string]reflect.Value) string {
	section, _, _ := strings.Cut(strings.TrimPrefix(name, envPrefix), "_")
	var near []string
	for k := range keys {
		if strings.HasPrefix(k, envPrefix+section) {
			near = append(near, k)
		}
	}
	if len(near) == 0 {
		return ": see configs/gridgate.yaml"
	}
	sort.Strings(near)
	return ": want one of " + strings.Join(near, ", ")
}
