package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"gridgate/internal/grid"
)

// Argon2id as OWASP's sheet has it for small machines: 19 MiB, two passes, one lane. What a
// password was made with stands in its hash, so that these may grow.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonSalt   = 16
	argonKey    = 32
)

// Length of a password, in characters; past the most there is nothing to gain but our work.
const (
	minPassword = 12
	maxPassword = 256
)

//go:embed common.txt
var common string

// CheckPassword says why a password is too weak: short, common, or the name again.
func CheckPassword(password, name, display string) error {
	n := utf8.RuneCountInString(password)
	if n < minPassword || n > maxPassword {
		return grid.Errorf(grid.Invalid, "the password has %d characters: want %d to %d", n, minPassword, maxPassword)
	}
	low := strings.ToLower(password)
	for word := range strings.Lines(common) {
		if word = strings.TrimSpace(word); word != "" && !strings.HasPrefix(word, "#") && isBut(low, word) {
			return grid.Errorf(grid.Invalid, "the password is a common one: want one that nobody else has")
		}
	}
	for _, own := range []string{name, display} {
		if own = strings.ToLower(own); utf8.RuneCountInString(own) >= 3 && isBut(low, own) {
			return grid.Errorf(grid.Invalid, "the password is the name and little else: want one that others cannot guess")
		}
	}
	if strings.Trim(low, "0123456789 .-+()") == "" {
		return grid.Errorf(grid.Invalid, "the password is a number: want one that others cannot guess")
	}
	if few(low) {
		return grid.Errorf(grid.Invalid, "the password repeats a few characters: want one that others cannot guess")
	}
	return nil
}

// isBut reports whether a password is a word, perhaps again and again, with no more than digits
// and marks around it.
func isBut(password, word string) bool {
	rest := strings.ReplaceAll(password, word, "")
	return rest != password && strings.Trim(rest, "0123456789!?.,-_@#$%&*+= ") == ""
}

// few reports whether a password has fewer than five different characters.
func few(password string) bool {
	seen := map[rune]bool{}
	for _, r := range password {
		seen[r] = true
	}
	return len(seen) < 5
}

// OneTimePassword makes a password for one sign-on, of 100 bits, in groups that can be read out.
func OneTimePassword() string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789" // none that looks like another
	var b [20]byte
	var out strings.Builder
	for n := 0; n < 20; {
		rand.Read(b[:])
		for _, c := range b {
			if int(c) >= len(letters)*(256/len(letters)) || n == 20 {
				continue // or some letters would come more often
			}
			if n > 0 && n%5 == 0 {
				out.WriteByte('-')
			}
			out.WriteByte(letters[int(c)%len(letters)])
			n++
		}
	}
	return out.String()
}

// hasher works out argon2id, a few at a time and no more: a flood of tries must not take the
// cores from the alarms.
type hasher struct{ slots chan struct{} }

func newHasher(atOnce int) *hasher { return &hasher{make(chan struct{}, atOnce)} }

func (h *hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return grid.Errorf(grid.Unavailable, "too many sign on at a time: %w", context.Cause(ctx))
	}
}

// hash makes the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.slots }()
	var salt [argonSalt]byte
	rand.Read(salt[:])
	key := argon2.IDKey([]byte(password), salt[:], argonTime, argonMemory, argonLanes, argonKey)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes, b64(salt[:]), b64(key)), nil
}

// nobody is what the password of an unknown name is compared with, so that it takes as long.
const nobody = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// matches compares a password with a PHC string. A string that is none matches nothing, and
// takes as long.
func (h *hasher) matches(ctx context.Context, phc, password string) (bool, error) {
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer func() { <-h.slots }()
	if phc == "" {
		phc = nobody
	}
	var version, memory, time uint32
	var lanes uint8
	part := strings.Split(phc, "$")
	if len(part) != 6 || part[1] != "argon2id" {
		return false, nil
	}
	if _, err := fmt.Sscanf(part[2]+" "+part[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &lanes); err != nil || version != argon2.Version || memory > 1<<20 || time > 16 || time == 0 || lanes == 0 {
		return false, nil
	}
	salt, err := base64.RawStdEncoding.DecodeString(part[4])
	if err != nil {
		return false, nil
	}
	key, err := base64.RawStdEncoding.DecodeString(part[5])
	if err != nil || len(key) < 16 || len(key) > 64 {
		return false, nil
	}
	if utf8.RuneCountInString(password) > maxPassword {
		password = "" // matches nothing that was ever set
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, lanes, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1 && phc != nobody, nil
}
