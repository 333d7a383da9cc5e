package bulk

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"time"

	"gridgate/internal/grid"
)

// Changes as they are kept with an import, so that it can be undone.

// change is one row of the registry as it was before an import, and a sum of what it was made.
type change struct {
	N    int             `json:"n"` // the row of the sheet
	Kind string          `json:"kind"`
	ID   string          `json:"id"`
	Was  json.RawMessage `json:"was,omitempty"` // absent: there was none
	Sum  string          `json:"sum"`
	In   *installed      `json:"in,omitempty"`
}

// installed is the key of an installation.
type installed struct {
	Channel string    `json:"channel"`
	From    time.Time `json:"from"`
	Point   string    `json:"point"`
}

func image[T any](old *T) json.RawMessage {
	if old == nil {
		return nil
	}
	b, err := json.Marshal(old)
	if err != nil {
		panic("bulk: a row of the registry: " + err.Error()) // texts, numbers and times: cannot fail
	}
	return b
}

func sum[T any](row *T) string {
	h := fnv.New64a()
	h.Write(image(row))
	return fmt.Sprintf("%016x", h.Sum64())
}

// sumPoint leaves out whose hands a point is in: contracts move it by themselves.
func sumPoint(p *grid.Point) string {
	row := *p
	row.Contractor = ""
	return sum(&row)
}

// sumDevice leaves out what a frame changes.
func sumDevice(d *grid.Device) string {
	row := *d
	row.Source = ""
	return sum(&row)
}

func changeOf(row int, was, is *grid.Installation) change {
	return change{
		N: row, Kind: "installation", ID: string(is.Device), Was: image(was), Sum: sum(is),
		In: &installed{is.Channel, is.From, is.Point},
	}
}

// packed is what undoes a piece, as it is kept.
func packed(changes []change) []byte {
	raw := image(&changes)
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		panic("bulk: flate: " + err.Error()) // its level is right
	}
	_, _ = w.Write(raw) // a buffer takes it
	_ = w.Close()
	return b.Bytes()
}

func unpacked(was []byte) (out []change, err error) {
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(was)), MaxBytes))
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("what an import changed cannot be read: %w", err)
	}
	return out, nil
}
