package gatetest_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

const (
	stationSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	stationKey    = "key-in-an-address-0123456789"
)

const secretsRegistry = `
points:
  - {id: room-1, name: a room, kind: smoke, mode: simulated}
  - {id: room-2, name: a room, kind: smoke, mode: simulated}
  - {id: room-3, name: a room, kind: smoke, mode: simulated}
  - {id: room-4, name: a room, kind: smoke, mode: simulated}
devices:
  - {identity: "sn:1", profile: gridgate/json, point: room-1}
  - {identity: "sn:2", profile: gridgate/json, point: room-2}
  - {identity: "sn:3", profile: gridgate/json, point: room-3}
  - {identity: "sn:4", profile: gridgate/json, point: room-4}
units:
  - {id: station, name: station, kind: micro_fire_station, tier: 2, mode: simulated, connector: webhook, url: "%s/hook/` + stationKey + `", secret: ` + stationSecret + `, token: station-token-0123456789, test: "off"}
`

// lies names the files below a folder that have a secret as it is.
func lies(t *testing.T, dir string) (in []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, secret := range []string{stationSecret, stationKey} {
			if bytes.Contains(b, []byte(secret)) {
				in = append(in, filepath.Base(path)+" "+secret)
			}
		}
		return nil
	}))
	return in
}

// The secret of a unit is in no file of the data folder and in no answer, and signs what is sent:
// at once, after the key file was rotated and the gateway killed, after a restore elsewhere, and
// where a file of an older gridgate had it plain.
func TestASecretOfAUnitIsSealedWhereverItLies(t *testing.T) {
	letters := make(chan error, 64)
	hook, err := webhooks.NewWebhook(stationSecret)
	must(t, err)
	unit := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil && bytes.Contains(b, []byte(`"gridgate.ticket.opened"`)) {
			if err = hook.Verify(b, r.Header); r.URL.Path != "/hook/"+stationKey {
				err = fmt.Errorf("%s was called", r.URL.Path)
			}
			letters <- err
		}
	}))
	t.Cleanup(unit.Close)
	signed := func(g *gateway, what string, n int) {
		t.Helper()
		connect(t, g.broker).send(t, fmt.Sprintf("gridgate/up/sn:%d", n), []byte(`{"smoke.alarm":true}`))
		select {
		case err := <-letters:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: the unit was not told", what)
		}
	}
	g := newGateway(t)
	g.start(t)
	g.put(t, fmt.Sprintf(secretsRegistry, unit.URL))
	signed(g, "at once", 1)
	data := filepath.Join(g.dir, "data")
	if in := lies(t, data); len(in) > 0 {
		t.Errorf("plain, while it runs: %v", in)
	}
	for _, path := range []string{"/units", "/units/state", "/registry/log?limit=100", "/audit?limit=100", "/deeds", "/deliveries", "/channels"} {
		said, err := getJSON[any](t.Context(), g.api.URL+"/api/v1"+path, g.api.Token)
		if b, _ := json.Marshal(said); strings.Contains(string(b), stationKey) || strings.Contains(string(b), stationSecret) || err != nil && !strings.Contains(err.Error(), "404") {
			t.Errorf("%s says %s, %v", path, b, err)
		}
	}

	var done struct{ Resealed, Keys, Removed int }
	must(t, json.Unmarshal([]byte(g.gridgate(t, "--json", "key", "rotate")), &done))
	if done.Resealed != 1 || done.Keys != 1 || done.Removed != 1 {
		t.Errorf("rotated: %+v, want the unit sealed anew and the old key gone", done)
	}
	g.Kill()
	g.start(t)
	signed(g, "rotated and killed", 2)

	backup := filepath.Join(t.TempDir(), "backup")
	g.gridgate(t, "backup", backup)
	if in := lies(t, backup); len(in) > 0 {
		t.Errorf("plain in a backup: %v", in)
	}
	g.Stop(t)
	other := newGateway(t)
	other.gridgate(t, "restore", backup)
	key, err := os.ReadFile(filepath.Join(data, "secret.key")) // no backup has it: it is kept apart
	must(t, err)
	must(t, os.WriteFile(filepath.Join(other.dir, "data", "secret.key"), key, 0o600))
	other.start(t)
	signed(other, "restored", 3)
	other.Stop(t)

	db, err := sql.Open("sqlite", filepath.Join(data, "state.db"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), "UPDATE units SET secret = ?, url = ?", stationSecret, unit.URL+"/hook/"+stationKey)
	must(t, err)
	must(t, db.Close())
	if len(lies(t, data)) == 0 {
		t.Error("nothing is plain: the test looks at nothing")
	}
	g.start(t)
	if in := lies(t, data); len(in) > 0 {
		t.Errorf("plain after the start: %v", in)
	}
	signed(g, "that was plain", 4)
	if n := len(all[grid.Unit](t, g, "units", api.Query{})); n != 1 {
		t.Errorf("%d units", n)
	}
	g.balanced(t)
}
