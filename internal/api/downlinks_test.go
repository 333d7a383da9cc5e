package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// orders is an engine that keeps what it is told in the world's store.
type orders struct {
	Engine
	w    *world
	told []grid.Downlink
}

func (o *orders) Downlink(_ context.Context, d grid.Downlink) (grid.Downlink, error) {
	if err := d.Check(); err != nil {
		return d, err
	}
	if i := slices.IndexFunc(o.told, func(old grid.Downlink) bool { return old.ID == d.ID && d.ID != "" }); i >= 0 {
		return o.told[i], nil
	}
	if d.ID == "" {
		d.ID = grid.NewID(t0, "test", len(o.told))
	}
	d.State, d.Created = grid.DownlinkQueued, t0
	o.told = append(o.told, d)
	o.w.commit(&state.Batch{Downlinks: []grid.Downlink{d}})
	return d, nil
}

func (o *orders) CancelDownlink(_ context.Context, id string, by grid.Actor, reason string) (grid.Downlink, error) {
	for _, d := range o.told {
		if d.ID == id {
			d.State, d.EndedAt, d.Error = grid.DownlinkFailed, t0, "taken back by "+by.Name+": "+reason
			return d, nil
		}
	}
	return grid.Downlink{}, grid.Errorf(grid.NotFound, "downlink %s: not found", id)
}

func withOrders(t *testing.T) (*world, *orders) {
	w := newWorld(t)
	o := &orders{w: w}
	w.server.Engine = o
	return w, o
}

func TestAnOrderToADeviceComesToTheEngineWholeAndIsListed(t *testing.T) {
	w, o := withOrders(t)
	c := w.client(admin)
	want := grid.Order{Modbus: &grid.ModbusOrder{Write: "register", Address: 100, Values: []uint16{1, 65535}}}
	d, err := c.SendDownlink(t.Context(), "modbus:a/1", NewDownlink{Order: want, Confirm: true, Once: true, ExpiresIn: "90s", Reason: "drill", By: &As{Name: "Li"}}, "")
	if err != nil || d.State != grid.DownlinkQueued || d.ID == "" {
		t.Fatalf("got %+v, %v", d, err)
	}
	got := o.told[0]
	if got.Device != "modbus:a/1" || !reflect.DeepEqual(got.Order, want) || !got.Confirm || !got.Once || got.Reason != "drill" || got.By.Name != "Li" || !got.Expires.Equal(t0.Add(90*time.Second)) {
		t.Errorf("the engine was told %+v", got)
	}
	if _, err := c.SendDownlink(t.Context(), "modbus:a/1", NewDownlink{Order: want}, ""); err != nil || !o.told[1].Expires.IsZero() || o.told[1].ID == got.ID {
		t.Errorf("the second is %+v, %v", o.told[1], err)
	}
	if d, err = c.Downlink(t.Context(), got.ID); err != nil || !reflect.DeepEqual(d.Order, want) {
		t.Errorf("it reads as %+v, %v", d, err)
	}
	page, err := List[grid.Downlink](t.Context(), c, "downlinks", Query{Device: "modbus:a/1", State: "queued"})
	if err != nil || len(page.Items) != 2 {
		t.Errorf("the list is %+v, %v", page, err)
	}
	if page, err = List[grid.Downlink](t.Context(), c, "downlinks", Query{State: "failed"}); err != nil || len(page.Items) != 0 {
		t.Errorf("the list of failed ones is %+v, %v", page, err)
	}
	if d, err = c.CancelDownlink(t.Context(), got.ID, "no drill"); err != nil || d.Error != "taken back by admin: no drill" {
		t.Errorf("taken back: %+v, %v", d, err)
	}
}

func TestTheSameKeyIsTheSameDownlink(t *testing.T) {
	w, o := withOrders(t)
	n := NewDownlink{Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "ff", Port: 85}}}
	var ids []string
	for _, key := range []string{"a", "a", "b"} {
		d, err := w.client(admin).SendDownlink(t.Context(), "modbus:a/1", n, key)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, d.ID)
	}
	if ids[0] != ids[1] || ids[0] == ids[2] || len(o.told) != 2 {
		t.Errorf("ids are %v of %d downlinks", ids, len(o.told))
	}
}

func TestOrdersThatAreWrongAreProblemsThatSayWhy(t *testing.T) {
	w, _ := withOrders(t)
	path := "/api/v1/devices/modbus:a%2F1/downlinks"
	for _, c := range []struct {
		name, token, path, body string
		status                  int
		words                   string
	}{
		{"no order", admin, path, `{"order":{}}`, 422, "exactly one of payload"},
		{"two orders", admin, path, `{"order":{"payload":{"hex":"ff"},"gb26875":{"do":"set_clock"}}}`, 422, "exactly one of payload"},
		{"no hex", admin, path, `{"order":{"payload":{"hex":"xyz"}}}`, 422, "payload.hex"},
		{"unknown word", admin, path, `{"order":{"gb26875":{"do":"dance"}}}`, 422, "gb26875"},
		{"unknown key", admin, path, `{"order":{"payload":{"hex":"ff","prt":85}}}`, 422, "unexpected property"},
		{"no time", admin, path, `{"order":{"payload":{"hex":"ff"}},"expires_in":"soon"}`, 422, "expires_in"},
		{"past", admin, path, `{"order":{"payload":{"hex":"ff"}},"expires_in":"-1h"}`, 422, "expires_in"},
		{"not found", admin, "/api/v1/downlinks/nothing/cancel", `{}`, 404, "not found"},
		{"of a unit", "fire-token", path, `{"order":{"payload":{"hex":"ff"}}}`, 403, "unit's token"},
		{"of nobody", "", path, `{"order":{"payload":{"hex":"ff"}}}`, 401, ""},
	} {
		req, err := http.NewRequest(http.MethodPost, w.url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+c.token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		err = problemOf(w.client(admin), res)
		res.Body.Close()
		if res.StatusCode != c.status || res.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %s, %s, %v", c.name, res.Status, res.Header.Get("Content-Type"), err)
		}
	}
	for _, path := range []string{"downlinks", "downlinks/x"} {
		if _, err := List[grid.Downlink](t.Context(), w.client("fire-token"), path, Query{}); grid.CodeOf(err) != grid.Forbidden {
			t.Errorf("a unit reads %s: %v", path, err)
		}
	}
}

func TestTheStreamTellsTheAdministratorOfDownlinksAndNoUnit(t *testing.T) {
	w := newWorld(t)
	c := Change{Downlinks: []grid.Downlink{{ID: "d1", State: grid.DownlinkSent}}}
	seen := map[string]int{}
	for _, by := range []grid.Actor{{Role: grid.RoleSupervisor}, {Role: grid.RoleUnit, Unit: "fire-1"}} {
		r, err := w.server.hub.subscribe(by, "")
		if err != nil {
			t.Fatal(err)
		}
		w.server.Publish(c)
		w.server.hub.unsubscribe(r)
		for n := range r.notes {
			seen[string(by.Role)+" "+n.name]++
		}
	}
	if want := map[string]int{"supervisor downlink": 1}; !reflect.DeepEqual(seen, want) {
		t.Errorf("seen %v: want %v", seen, want)
	}
}
