package profile_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gridgate/internal/gb26875"
	"gridgate/internal/profile"
)

type serialVector struct {
	Protocol    string `json:"protocol"`
	Description string `json:"description"`
	Hex         string `json:"hex"`
	ChecksumOK  bool   `json:"checksum_ok"`
	Expected    struct {
		Serial    uint16 `json:"serial"`
		Version   string `json:"version"`
		Time      string `json:"time"`
		Source    uint64 `json:"src"`
		Dest      uint64 `json:"dst"`
		Length    int    `json:"app_len"`
		Command   byte   `json:"cmd"`
		Name      string `json:"cmd_name"`
		Type      byte   `json:"type"`
		Count     byte   `json:"count"`
		Component struct {
			SystemType byte   `json:"system_type"`
			Component  byte   `json:"component_type"`
			Address    string `json:"component_addr"`
		} `json:"component"`
	} `json:"expected"`
}

func TestHeadersOfPublishedGB26875FramesAreReadAsPublished(t *testing.T) {
	file, err := os.Open(filepath.Join(vectorsDir, "serial.jsonl"))
	if err != nil {
		t.Skip("no published frames at ../shared/vectors/serial.jsonl: skipped")
	}
	defer file.Close()
	read := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var v serialVector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if v.Protocol != "GB/T 26875.3" {
			continue
		}
		read++
		v.compare(t)
	}
	if read == 0 {
		t.Error("no frame was read")
	}
}

func (v *serialVector) compare(t *testing.T) {
	raw, err := profile.ParseHex(v.Hex)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gb26875.Parse(raw)
	if (err == nil) != v.ChecksumOK {
		t.Errorf("%s: got error %v: want one: %t", v.Description, err, !v.ChecksumOK)
	}
	if err != nil {
		return
	}
	want := &v.Expected
	sent, err := beijing.Time(f.Sent)
	if err != nil || sent.Add(gb26875.Beijing).Format(time.DateTime) != want.Time {
		t.Errorf("%s: got time %v, %v: want %s", v.Description, sent, err, want.Time)
	}
	version := string([]byte{'0' + f.Version, '.', '0' + f.UserVersion})
	if f.Serial != want.Serial || version != want.Version || f.Source != want.Source || f.Destination != want.Dest || len(f.Unit) != want.Length || byte(f.Command) != want.Command || f.Command.String() != want.Name {
		t.Errorf("%s: got %+v, version %s: want %+v", v.Description, f, version, *want)
	}
	if len(f.Unit) > 1 && (f.Unit[0] != want.Type || f.Unit[1] != want.Count) {
		t.Errorf("%s: got object type %d, count %d: want %d, %d", v.Description, f.Unit[0], f.Unit[1], want.Type, want.Count)
	}
	if want.Component.Address != "" {
		address, err := profile.ParseHex(want.Component.Address)
		l, _ := gb26875.Standard(want.Type)
		o := f.Unit[2:]
		if err != nil || binary.BigEndian.Uint32(o[l.Component+1:]) != binary.BigEndian.Uint32(address) || o[l.Component] != want.Component.Component || o[l.System] != want.Component.SystemType {
			t.Errorf("%s: the component is not where the layout says", v.Description)
		}
	}
}
