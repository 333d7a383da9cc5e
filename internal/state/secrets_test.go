package state

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"gridgate/internal/auth"
	"gridgate/internal/grid"
)

const (
	hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	robotURL   = "https://robots.example:8443/hook/the-robots-own-key?access_token=the-robots-other-key"
)

// holds counts the files of a state that have one of the secrets as it is.
func holds(t *testing.T, path string) (n int) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{hookSecret, "the-robots-own-key", "the-robots-other-key"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Logf("%s holds %s", filepath.Base(f), secret)
				n++
			}
		}
	}
	return n
}

func keysAt(t *testing.T, path string) *auth.Keys {
	t.Helper()
	k, err := auth.OpenKeys(path, false)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func theUnit(t *testing.T, s *Store) grid.Unit {
	t.Helper()
	u, err := s.Unit(t.Context(), "station")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

var station = grid.Unit{ID: "station", Kind: grid.FireUnit, Mode: grid.Live, Connector: "webhook", Secret: hookSecret, URL: robotURL, Token: "token of station"}

// What is secret of a unit is in no file of the state, and is read as it was given; the list
// says where messages go and no more.
func TestSecretsOfUnitsAreSealedInTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := openTest(t, path)
	keys := keysAt(t, filepath.Join(dir, "key"))
	if n, err := s.SealWith(t.Context(), keys); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	commit(t, s, &Batch{Units: []grid.Unit{station, {ID: "plain", Mode: grid.Live}}})
	if n := holds(t, path); n != 0 {
		t.Errorf("%d secrets can be read off the files", n)
	}
	if u := theUnit(t, s); u.Secret != hookSecret || u.URL != robotURL {
		t.Errorf("read: %q %q", u.Secret, u.URL)
	}
	if u, err := s.UnitByToken(t.Context(), "token of station"); err != nil || u.Secret != hookSecret {
		t.Errorf("by its token: %+v, %v", u, err)
	}
	l, err := s.Load(t.Context())
	if err != nil || l.Units[1].URL != robotURL {
		t.Errorf("loaded: %+v, %v", l, err)
	}
	page, err := s.ListUnits(t.Context(), Query{ID: "station", Limit: 1})
	if err != nil || page.Items[0].Secret != "" || page.Items[0].URL != "https://robots.example:8443/…" {
		t.Errorf("listed: %+v, %v", page.Items, err)
	}

	// Sealed for this unit: a row that is copied to another opens nothing.
	commit(t, s, &Batch{Units: []grid.Unit{{ID: "thief", Mode: grid.Live, Secret: "s", URL: "https://thief.example"}}})
	if err := s.inTransaction(t.Context(), func(w *writer) {
		w.exec("UPDATE units SET (secret, url) = (SELECT secret, url FROM units WHERE id = 'station') WHERE id = 'thief'")
	}); err != nil {
		t.Fatal(err)
	}
	if u, err := s.Unit(t.Context(), "thief"); err == nil || u.Secret != "" || u.URL != "" {
		t.Errorf("a copied row opens: %+v", u)
	}
}

// A file of before is sealed at the next start, with what it leaves behind wiped; once more is nothing.
func TestPlainSecretsOfUnitsAreSealedAndWiped(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := openTest(t, path)
	var others []grid.Unit
	for i := range 300 { // more than a page
		u := station
		u.ID, u.Token = "u"+string(rune('0'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10)), ""
		others = append(others, u)
	}
	commit(t, s, &Batch{Units: append(others, station)})
	if holds(t, path) == 0 {
		t.Fatal("nothing is plain: the test looks at nothing")
	}
	keys := keysAt(t, filepath.Join(dir, "key"))
	if n, err := s.SealWith(t.Context(), keys); n != 301 || err != nil {
		t.Fatal(n, err)
	}
	if n := holds(t, path); n != 0 {
		t.Errorf("%d secrets are left in the files", n)
	}
	if n, err := s.SealWith(t.Context(), keys); n != 0 || err != nil {
		t.Errorf("once more: %d, %v", n, err)
	}
	if u, err := s.UnitByToken(t.Context(), "token of station"); err != nil || u.Secret != hookSecret || u.URL != robotURL {
		t.Errorf("by its token: %+v, %v", u, err)
	}
	commit(t, s, &Batch{Units: []grid.Unit{{ID: "later", Mode: grid.Live, Secret: hookSecret}}})
	if n := holds(t, path); n != 0 {
		t.Errorf("%d secrets are in the files after a commit", n)
	}
}

// Without its key a unit is known, and has no secret: not an empty one, and not the sealed one.
func TestAUnitWhoseKeyIsLostHasNoSecret(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, filepath.Join(dir, "state.db"))
	if _, err := s.SealWith(t.Context(), keysAt(t, filepath.Join(dir, "key"))); err != nil {
		t.Fatal(err)
	}
	commit(t, s, &Batch{Units: []grid.Unit{station}})
	if _, err := s.SealWith(t.Context(), keysAt(t, filepath.Join(dir, "another key"))); err != nil {
		t.Fatal(err)
	}
	if u, err := s.Unit(t.Context(), "station"); grid.CodeOf(err) != grid.Unavailable || u.Secret != "" || u.URL != "" {
		t.Errorf("%+v, %v: want unavailable, and nothing of it", u, err)
	}
	if u, err := s.UnitByToken(t.Context(), "token of station"); err != nil || u.ID != "station" {
		t.Errorf("its own token: %+v, %v", u, err)
	}
	if _, err := s.SealWith(t.Context(), keysAt(t, filepath.Join(dir, "key"))); err != nil {
		t.Fatal(err)
	}
	if u := theUnit(t, s); u.Secret != hookSecret {
		t.Errorf("with its key again: %+v", u)
	}
}

func TestABareAddressSaysWhereAndNoMore(t *testing.T) {
	for url, want := range map[string]string{
		"": "", "tcp://10.0.0.1:5200": "tcp://10.0.0.1:5200", "https://a.example": "https://a.example", "https://a.example/": "https://a.example",
		"https://a.example/hook/key": "https://a.example/…", "https://a.example?key=k": "https://a.example/…", "https://u:p@a.example/#f": "https://…@a.example/…", "%zz": "",
	} {
		if got := BareURL(url); got != want {
			t.Errorf("%q is shown as %q, want %q", url, got, want)
		}
	}
}
