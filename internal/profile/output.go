package profile

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Output is what `gridgate profile decode` prints.
type Output struct {
	Readings []grid.Reading `json:"readings"`
	Sequence *uint32        `json:"sequence,omitempty"`
	Time     *time.Time     `json:"time,omitempty"`
	Restart  bool           `json:"restart,omitempty"`
	Answer   bool           `json:"answer,omitempty"`
	Profile  string         `json:"profile"`
	Warnings []string       `json:"warnings"`

	Labels map[string]string `json:"labels,omitempty"` // what the device calls its channels
}

// NewOutput gives the printed form of a decoded frame.
func NewOutput(d grid.Decoded) Output {
	out := Output{Readings: d.Readings, Restart: d.Restart, Answer: d.Answer, Profile: d.Profile, Warnings: d.Warnings, Labels: d.Labels}
	if out.Readings == nil {
		out.Readings = []grid.Reading{}
	}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	if d.HasSequence {
		out.Sequence = &d.Sequence
	}
	if !d.DeviceTime.IsZero() {
		out.Time = &d.DeviceTime
	}
	return out
}

// DecodePayload decodes bytes that came on a port; -1 where there is none.
func (p *Profile) DecodePayload(port int, payload []byte) (grid.Decoded, error) {
	return p.Decode(grid.Frame{Uplink: grid.Uplink{Port: port, Payload: payload}})
}

// ParseHex reads bytes as people write them: spaces, colons, commas and 0x are ignored.
func ParseHex(s string) ([]byte, error) {
	clean := strings.NewReplacer(" ", "", "\n", "", "\t", "", ":", "", "-", "", ",", "", "0x", "", "0X", "").Replace(s)
	b, err := hex.DecodeString(clean)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "hex is %q: want pairs of 0-9 and a-f: %w", truncate(s, 60), err)
	}
	return b, nil
}

func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return fmt.Sprintf("%s… (%d)", strings.ToValidUTF8(s[:n], ""), len(s))
}
