package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Line is an entry as it stands in the log. Hash is the SHA-256 of all that follows it in its
// line, as bytes; Prev, the hash of the line before, is among that.
type Line struct {
	Hash string `json:"hash"`
	N    uint64 `json:"n"` // from 1, without a gap
	Prev string `json:"prev"`
	Entry
}

// Anchor is what the log was at a moment: everything up to line N, in one hash. Kept elsewhere,
// it shows whether that part is still what it was.
type Anchor struct {
	N    uint64    `json:"n"`
	Hash string    `json:"hash"`
	At   time.Time `json:"at,omitzero"`
}

// Acts that the log notes about itself.
const (
	ActBegin    = "audit.begin"    // the first line of all
	ActRemoved  = "audit.removed"  // the oldest segments, by age
	ActMissed   = "audit.missed"   // entries that could not be kept
	ActBroken   = "audit.broken"   // at start the log was not what it had been
	ActUnsealed = "audit.unsealed" // at start there were lines after the sealed head
)

const (
	hashLen    = 2 * sha256.Size
	hashPrefix = `{"hash":"`
	hashSuffix = `",`
	maxText    = 500      // bytes of a word or a reason
	maxValue   = 16 << 10 // bytes of what was before and after
	maxLine    = 1 << 20
)

// noHash is before the first line.
var noHash = strings.Repeat("0", hashLen)

// appendLine adds a line to dst and gives its hash.
func appendLine(dst []byte, n uint64, prev string, e *Entry) ([]byte, string, error) {
	b, err := json.Marshal(struct {
		N    uint64 `json:"n"`
		Prev string `json:"prev"`
		*Entry
	}{n, prev, e})
	if err != nil {
		return dst, "", fmt.Errorf("audit: line %d: %w", n, err)
	}
	rest := b[1:]
	hash := digest(rest)
	dst = append(dst, hashPrefix...)
	dst = append(dst, hash...)
	dst = append(dst, hashSuffix...)
	dst = append(dst, rest...)
	return append(dst, '\n'), hash, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// parseLine reads a line, without its newline, and says whether its hash is that of its bytes.
func parseLine(raw []byte) (l Line, fits bool, err error) {
	if err := json.Unmarshal(raw, &l); err != nil {
		return l, false, err
	}
	head := len(hashPrefix) + hashLen + len(hashSuffix)
	if len(raw) < head || !bytes.HasPrefix(raw, []byte(hashPrefix)) || string(raw[head-len(hashSuffix):head]) != hashSuffix {
		return l, false, fmt.Errorf("it does not begin with its hash")
	}
	return l, digest(raw[head:]) == l.Hash && string(raw[len(hashPrefix):len(hashPrefix)+hashLen]) == l.Hash, nil
}

// tidy bounds an entry and makes sure that it can be written.
func (e *Entry) tidy(now time.Time) {
	if e.At.IsZero() {
		e.At = now
	}
	e.At = e.At.UTC().Truncate(time.Microsecond)
	if e.Outcome == "" {
		e.Outcome = Done
	}
	for _, s := range []*string{&e.Who, (*string)(&e.Role), &e.Unit, &e.Session, &e.From, &e.Act, &e.Object, &e.Why, (*string)(&e.Outcome), &e.Code} {
		*s = cutText(*s)
	}
	for _, v := range []*json.RawMessage{&e.Asked, &e.Before, &e.After} {
		*v = bounded(*v)
	}
}

func cutText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// bounded is a value that may stand in a line: of one too long its length and its hash.
func bounded(v json.RawMessage) json.RawMessage {
	switch {
	case len(v) == 0:
		return nil
	case !json.Valid(v):
		return note(map[string]any{"unreadable": true, "bytes": len(v), "sha256": digest(v)})
	case len(v) > maxValue:
		return note(map[string]any{"cut": true, "bytes": len(v), "sha256": digest(v)})
	}
	return v
}

// note is JSON of what the log says itself, which always is.
func note(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`{"unreadable":true}`)
	}
	return b
}

// The head file says what the newest durable line is. Its seal needs the key, so that who can
// write the log alone can neither cut its tail off nor hash it anew. It has one length, and is
// written in place.
const (
	headName = "head.json"
	headLen  = 512
)

type sealed struct {
	Anchor
	Seal string `json:"seal"`
}

func seal(key []byte, a Anchor) string {
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "gridgate audit head\n%d\n%s\n%s\n", a.N, a.Hash, a.At.UTC().Format(time.RFC3339Nano))
	return hex.EncodeToString(m.Sum(nil))
}

func headFile(key []byte, a Anchor) []byte {
	b := note(sealed{a, seal(key, a)})
	return append(append(b, bytes.Repeat([]byte{' '}, headLen-1-len(b))...), '\n')
}

// readHead reads a head file. Without a key the seal is taken as it is.
func readHead(b, key []byte) (Anchor, error) {
	var s sealed
	if err := json.Unmarshal(b, &s); err != nil {
		return Anchor{}, fmt.Errorf("the sealed head cannot be read: %w", err)
	}
	if key != nil && !hmac.Equal([]byte(s.Seal), []byte(seal(key, s.Anchor))) {
		return s.Anchor, fmt.Errorf("the seal of the head is not ours: the head, or the key, is another's")
	}
	return s.Anchor, nil
}
