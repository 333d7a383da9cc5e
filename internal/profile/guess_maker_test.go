package profile_test

import (
	"testing"
	"testing/fstest"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

const madeByAcme = `
profile: acme/door7
version: "1"
vendor: Acme
model: Door 7
kinds: [door]
source: made up for this test
interval: 1h
identify: {eui: [a1b2c3]}
codec: binary
layouts: [{name: report, when: {port: 2}, fields: [{name: open}]}]
signals: {door.open: open}
`

func TestGuessIdentityKnowsTheOnlyProfileOfAMaker(t *testing.T) {
	set, err := profile.Load(fstest.MapFS{"acme/door7/profile.yaml": {Data: []byte(madeByAcme)}})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[grid.Identity]string{"eui:a1b2c3ffff000001": "acme/door7", "eui:a1b2c4ffff000001": ""} {
		if p, smoke := set.GuessIdentity(id); p != want || smoke {
			t.Errorf("%s: got %q, smoke %t: want %q, false", id, p, smoke, want)
		}
	}
}
