package gatetest_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

const photoRegistry = `
points:
  - {id: ceiling-1, name: a ceiling, kind: smoke, district: "310105", building: b-1, address: 1 Demo Road, mode: simulated}
devices:
  - {identity: "eui:0267000100000001", profile: netvox/ra02a, point: ceiling-1, mode: simulated}
units:
  - {id: station, name: station, kind: micro_fire_station, tier: 2, mode: simulated, connector: inbox, token: station-token-0123456789}
  - {id: crew, name: crew, kind: maintenance, tier: 2, mode: simulated, connector: inbox, token: crew-token-0123456789abc}
`

// A photo from site is kept under its hash, belongs to the case, is seen by those who have a
// part in it alone, and comes back from a backup byte by byte.
func TestAPhotoStandsBehindItsTicket(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, photoRegistry)
	connect(t, g.broker).send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))
	var ticket string
	eventually(t, 20*time.Second, "the ticket", func() error {
		for _, k := range all[grid.Ticket](t, g, "tickets", api.Query{Point: "ceiling-1"}) {
			ticket = k.ID
		}
		if ticket == "" {
			return os.ErrNotExist
		}
		return nil
	})
	photo := photograph(t)
	path := filepath.Join(t.TempDir(), "kitchen.png")
	must(t, os.WriteFile(path, photo, 0o600))
	station, crew := &api.Client{URL: g.api.URL, Token: "station-token-0123456789"}, &api.Client{URL: g.api.URL, Token: "crew-token-0123456789abc"}

	f, err := station.AddEvidence(t.Context(), ticket, photo, "before", "a pan")
	must(t, err)
	if again, err := station.AddEvidence(t.Context(), ticket, photo, "before", "a pan"); err != nil || again.ID != f.ID {
		t.Errorf("the same photo again is %+v (%v), want the same file", again, err)
	}
	if out := g.gridgate(t, "ticket", "attach", ticket, path, "--shows", "after"); !strings.Contains(out, f.SHA256) {
		t.Errorf("the command says %q", out)
	}
	if out := g.gridgate(t, "ticket", "files", ticket); strings.Count(out, "image/png") != 2 {
		t.Errorf("files are listed as\n%s", out)
	}
	if got, err := station.EvidenceFile(t.Context(), f.ID); err != nil || !bytes.Equal(got, photo) {
		t.Errorf("it comes back changed: %v", err)
	}
	for name, err := range map[string]error{
		"reads it":  errOf(crew.EvidenceFile(t.Context(), f.ID)),
		"lists it":  errOf(crew.Evidence(t.Context(), ticket)),
		"adds one":  errOf(crew.AddEvidence(t.Context(), ticket, photo, "", "")),
		"has moved": errOf(crew.Move(t.Context(), ticket, api.Move{Verb: grid.VerbAccept}, "")),
	} {
		if err == nil {
			t.Errorf("a unit without a part in the ticket %s", name)
		}
	}
	if _, err := station.AddEvidence(t.Context(), ticket, []byte("<script>"), "", ""); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("a page with a script is %v, want invalid", err)
	}
	for _, m := range []api.Move{{Verb: grid.VerbAccept}, {Verb: grid.VerbArrive}, {Verb: grid.VerbResolve, OnSite: true, Evidence: "file:" + f.ID}} {
		if _, err := station.Move(t.Context(), ticket, m, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := station.Move(t.Context(), ticket, api.Move{Verb: grid.VerbConfirm, OnSite: true, Evidence: "file:nosuch"}, ""); err == nil {
		t.Error("a file that is not there is evidence")
	}

	backup := filepath.Join(t.TempDir(), "backup")
	g.gridgate(t, "backup", backup)
	other := newGateway(t)
	other.gridgate(t, "restore", backup)
	must(t, os.WriteFile(filepath.Join(other.dir, "data", "token"), []byte(g.api.Token), 0o600))
	other.start(t)
	if got, err := other.api.EvidenceFile(t.Context(), f.ID); err != nil || !bytes.Equal(got, photo) {
		t.Errorf("after the restore: %v", err)
	}
}

func errOf[T any](_ T, err error) error { return err }

// photograph makes a picture that no other test has.
func photograph(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 64, 48))
	for i := range 64 * 48 {
		img.Set(i%64, i/64, color.RGBA{uint8(i), uint8(i / 7), uint8(i / 13), 255})
	}
	var b bytes.Buffer
	must(t, png.Encode(&b, img))
	return b.Bytes()
}
