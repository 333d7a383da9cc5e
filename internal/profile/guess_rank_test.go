package profile

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/grid"
)

// TestGuessFindsTheModelOfPublishedFrames counts how often the profile of a published
// message is among the guesses when only port and payload are known, and when the
// envelope names the model as well. Many models of a maker encode alike, so that the
// payload alone cannot tell them apart; the figures are in the log.
func TestGuessFindsTheModelOfPublishedFrames(t *testing.T) {
	file, err := os.Open(filepath.Join("../../../shared/vectors", "devices.jsonl"))
	if err != nil {
		t.Skip("no published vectors at ../shared/vectors: skipped")
	}
	defer file.Close()
	set, err := Load(firmwareprofiles.FS)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	models, err := set.vectorModels()
	if err != nil {
		t.Fatal(err)
	}
	var frames, first, five, namedFirst, namedFive int
	var missed []string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		m, ok := models[squeeze(v.Vendor+v.Model)]
		payload, err := ParseHex(v.Hex)
		if !ok || err != nil {
			continue
		}
		if _, err := m.p.DecodePayload(v.Port, payload); err != nil {
			continue
		}
		frames++
		f := grid.Frame{Uplink: grid.Uplink{Port: v.Port, Payload: payload}}
		place := placeOf(set.Guess(f), m.p.ID)
		first, five = first+count(place == 1), five+count(place > 0)
		f.Model = v.Model
		place = placeOf(set.Guess(f), m.p.ID)
		namedFirst, namedFive = namedFirst+count(place == 1), namedFive+count(place > 0)
		if place != 1 {
			missed = append(missed, m.p.ID+" "+v.Hex)
		}
	}
	t.Logf("%d frames: by port and payload %d first, %d in the first five; with the model's name %d first, %d in the first five", frames, first, five, namedFirst, namedFive)
	t.Logf("not first although named: %s", strings.Join(missed, "; "))
	if frames == 0 {
		t.Fatal("no published frame has a profile")
	}
	for _, c := range []struct {
		title        string
		got, atLeast int // in percent
	}{
		{"first by port and payload", first, 65},
		{"in the first five by port and payload", five, 95},
		{"first with the model's name", namedFirst, 98},
	} {
		if c.got*100 < c.atLeast*frames {
			t.Errorf("%s: %d of %d: want at least %d %%", c.title, c.got, frames, c.atLeast)
		}
	}
}

func placeOf(guesses []Guess, id string) int {
	return 1 + slices.IndexFunc(guesses, func(g Guess) bool { return g.Profile == id })
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
