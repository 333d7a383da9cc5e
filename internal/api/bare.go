package api

import (
	"reflect"
	"strings"

	"gridgate/internal/grid"
)

// ofPersons are the fields that viewers and walls do not get: who did it, what people wrote, whom
// to call. Names of the places themselves stay: a screen without them tells nothing.
var ofPersons = map[reflect.Type][]string{
	reflect.TypeFor[grid.Actor]():       {"Name"},
	reflect.TypeFor[grid.AlarmDetail](): {"Filed", "AckedBy"},
	reflect.TypeFor[grid.Taken]():       {"By"},
	reflect.TypeFor[grid.Event]():       {"Detail"},
	reflect.TypeFor[grid.Ticket]():      {"Chains", "Tasks", "Confirmed", "Evidence", "Asked"},
	reflect.TypeFor[grid.Delivery]():    {"Body"},
	reflect.TypeFor[grid.Seat]():        {"Person"},
	reflect.TypeFor[grid.Window]():      {"Reason", "Holder", "Patrol", "EndedBy"},
	reflect.TypeFor[grid.Unit]():        {"Phone", "Settings", "URL"},
	reflect.TypeFor[grid.Point]():       {"Notes"},
	reflect.TypeFor[grid.Device]():      {"Notes"},
	reflect.TypeFor[grid.Posture]():     {"Reason"},
}

// looksOn reports whether by gets nothing of persons.
func looksOn(by grid.Actor) bool {
	return by.Standing() == grid.RoleViewer || by.Standing() == grid.RoleWall
}

// bare takes what is of persons out of an answer. What others may hold too is copied first.
func bare[T any](out T) T {
	v := reflect.ValueOf(&out).Elem()
	strip(v)
	return out
}

func strip(v reflect.Value) {
	if !v.CanSet() || !carries(v.Type(), 0) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c := reflect.New(v.Type().Elem())
			c.Elem().Set(v.Elem())
			strip(c.Elem())
			v.Set(c)
		}
	case reflect.Slice:
		if !v.IsNil() {
			c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(c, v)
			for i := range c.Len() {
				strip(c.Index(i))
			}
			v.Set(c)
		}
	case reflect.Array:
		for i := range v.Len() {
			strip(v.Index(i))
		}
	case reflect.Struct:
		for _, name := range ofPersons[v.Type()] {
			v.FieldByName(name).SetZero()
		}
		for i := range v.NumField() {
			strip(v.Field(i))
		}
	}
}

// carries reports whether a type may hold one of ours.
func carries(t reflect.Type, depth int) bool {
	if depth > 12 {
		return true // of itself, perhaps: look
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return carries(t.Elem(), depth+1)
	case reflect.Struct:
		if ofPersons[t] != nil {
			return true
		}
		if path := t.PkgPath(); !strings.HasPrefix(path, "gridgate/") {
			return false
		}
		for i := range t.NumField() {
			if carries(t.Field(i).Type, depth+1) {
				return true
			}
		}
	}
	return false
}
