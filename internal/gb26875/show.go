package gb26875

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Object is an information object for people. A part that it does not have, or that its
// layout does not tell, is left out; Hex is all of it.
type Object struct {
	State   []string `json:"state,omitempty"` // bits that are set; normal or test is bit 0
	Done    []string `json:"done,omitempty"`  // of an operation record
	Version string   `json:"version,omitempty"`
	Text    string   `json:"text,omitempty"`
	Time    string   `json:"time,omitempty"`
	Hex     string   `json:"hex"`
}

// Unit is an application unit for people.
type Unit struct {
	Type    int      `json:"type"`
	Name    string   `json:"name,omitempty"` // of the type
	Objects []Object `json:"objects,omitempty"`
	Rest    string   `json:"rest,omitempty"` // bytes that are no whole object
}

// Show takes an application unit apart for a person to read. It never fails: what it does
// not know it shows in hexadecimal. What a device means by it is for its profile to say.
func Show(unit []byte, e Encoding) Unit {
	if len(unit) < 2 {
		return Unit{Rest: hex.EncodeToString(unit)}
	}
	u := Unit{Type: int(unit[0])}
	rest := unit[2:]
	l, known := Standard(unit[0])
	if !known {
		u.Rest = hex.EncodeToString(rest)
		return u
	}
	u.Name = l.Name
	for range unit[1] {
		size := l.Size
		if l.Variable && len(rest) > l.Text {
			size += int(rest[l.Text])
		}
		if len(rest) < size {
			break
		}
		u.Objects = append(u.Objects, l.show(unit[0], rest[:size], e))
		rest = rest[size:]
	}
	u.Rest = hex.EncodeToString(rest)
	return u
}

func (l *Layout) show(objectType byte, b []byte, e Encoding) Object {
	o := Object{Hex: hex.EncodeToString(b)}
	if l.State != None {
		o.State = l.states(b[l.State:])
	}
	if l.Operation != None {
		o.Done = set(l.OperationFlags(), b[l.Operation])
	}
	if l.Text != None {
		o.Text = l.text(b[l.Text:])
	}
	if objectType == SystemVersion || objectType == DeviceVersion {
		o.Version = fmt.Sprintf("%d.%d", b[len(b)-2], b[len(b)-1])
	}
	if l.Time != None {
		if at, err := e.Time(Time(b[l.Time : l.Time+6])); err == nil {
			o.Time = at.In(time.FixedZone("", int(e.Zone.Seconds()))).Format(time.RFC3339)
		}
	}
	return o
}

// states names the bits of a state; one without a name is shown by its number.
func (l *Layout) states(b []byte) []string {
	bits := uint16(b[0])
	if l.System != None {
		bits = binary.LittleEndian.Uint16(b)
	}
	out := []string{"test"}
	if bits&1 != 0 {
		out[0] = "normal"
	}
	names := l.StateBits()
	for i := 1; i < 16; i++ {
		switch {
		case bits>>i&1 == 0:
		case names[i] == "":
			out = append(out, fmt.Sprintf("bit %d", i))
		default:
			out = append(out, names[i])
		}
	}
	return out
}

func set(names [8]string, bits byte) (out []string) {
	for i, name := range names {
		switch {
		case bits>>i&1 == 0:
		case name == "":
			out = append(out, fmt.Sprintf("bit %d", i))
		default:
			out = append(out, name)
		}
	}
	return out
}

// text is in GB 18030, as the standard wants it.
func (l *Layout) text(b []byte) string {
	if l.Variable {
		b = b[1:]
	} else {
		b = b[:l.TextSize]
	}
	s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(bytes.TrimRight(b, " \x00"))
	if err != nil {
		return ""
	}
	return string(s)
}
