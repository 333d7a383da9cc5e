package profile_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gridgate/internal/profile"
)

const withWholeFrames = `
profile: acme/records
version: "1"
vendor: Acme
model: Records
kinds: [door]
source: made up for this test
interval: 1h
codec: tlv
ports: [8]
layouts:
  - name: answer
    when: {port: [8, 50], length: 1}
    answer: true
  - name: start-up
    when: {port: 50, byte: {0: 0xff}}
    restart: true
    rest: ignore
records:
  - {name: door, keys: ["0300"], fields: [{name: open}]}
signals:
  door.open: {field: open}
`

func TestFramesThatAreNoRecordsHaveLayoutsOfTheirOwn(t *testing.T) {
	set, err := profile.Load(fstest.MapFS{"acme/records/profile.yaml": {Data: []byte(withWholeFrames)}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := set.Get("acme/records")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Ports) != 2 || p.Ports[0] != 8 || p.Ports[1] != 50 {
		t.Errorf("got ports %v: want those of the records and of the layouts", p.Ports)
	}
	for _, c := range []struct {
		port            int
		payload         []byte
		answer, restart bool
		readings        int
		err             string
	}{
		{8, []byte{3, 0, 1}, false, false, 1, ""},
		{8, []byte{0}, true, false, 0, ""},
		{50, []byte{1}, true, false, 0, ""},
		{50, []byte{0xff, 9, 1, 0}, false, true, 0, ""},
		{50, []byte{3, 0, 1}, false, false, 0, "no layout is for port 50 with 3 bytes beginning 030001"},
		{9, []byte{3, 0, 1}, false, false, 0, "port 9 is unknown: want 8, 50"},
		{-1, []byte{3, 0, 1}, false, false, 0, "port (not said) is unknown: want 8, 50"},
	} {
		d, err := p.DecodePayload(c.port, c.payload)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("port %d %x: got error %v: want %q", c.port, c.payload, err, c.err)
		}
		if d.Answer != c.answer || d.Restart != c.restart || len(d.Readings) != c.readings {
			t.Errorf("port %d %x: got answer %t, restart %t, %d readings: want %t, %t, %d", c.port, c.payload, d.Answer, d.Restart, len(d.Readings), c.answer, c.restart, c.readings)
		}
	}
}
