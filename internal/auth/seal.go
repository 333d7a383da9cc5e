package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"gridgate/internal/grid"
)

// Keys seals secrets of devices, so that the state file and its backups do not have them.
// It is made of a key file: 64 hexadecimal digits a line, each line a key. The last seals,
// all open; what is sealed names its key.
type Keys struct {
	path string
	keys atomic.Pointer[[]sealingKey] // the last one seals; none: the file is not there
	file sync.Mutex                   // held while the file changes
}

// all are the keys in force. The slice does not change.
func (k *Keys) all() []sealingKey {
	if p := k.keys.Load(); p != nil {
		return *p
	}
	return nil
}

// sealingKey is one line of the key file.
type sealingKey struct {
	id    [4]byte
	aead  cipher.AEAD // for what must be read again
	check []byte      // for what must only be compared
}

// The forms of what is sealed: form, id of the key, then nonce and ciphertext, or salt and check.
const (
	formSealed = 1
	formCheck  = 2
	headLen    = 5
	saltLen    = 16
	keyLen     = 32
)

// OpenKeys reads a key file. One that is not there is made, unless needed is told: then
// something is sealed under a file that is lost, and another would hide that.
func OpenKeys(path string, needed bool) (*Keys, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if needed {
			return &Keys{path: path}, nil
		}
		if err := makeKeyFile(path); err != nil {
			return nil, fmt.Errorf("key file: %w", err)
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file: %s can be read by others (mode %#o): want 0600", path, info.Mode().Perm())
	}
	k := &Keys{path: path}
	_, all, err := k.read()
	if err != nil {
		return nil, err
	}
	k.keys.Store(&all)
	return k, nil
}

// read reads the file: its lines, and the keys made of them.
func (k *Keys) read() (lines []string, all []sealingKey, err error) {
	b, err := os.ReadFile(k.path)
	if err != nil {
		return nil, nil, fmt.Errorf("key file: %w", err)
	}
	lines = strings.Fields(string(b))
	for i, line := range lines {
		secret, err := hex.DecodeString(line)
		if err != nil || len(secret) != keyLen {
			return nil, nil, fmt.Errorf("key file: %s: key %d cannot be used: want 64 hexadecimal digits a line", k.path, i+1)
		}
		key, err := newSealingKey(secret)
		if err != nil {
			return nil, nil, fmt.Errorf("key file: %w", err)
		}
		all = append(all, key)
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("key file: %s is empty: want 64 hexadecimal digits", k.path)
	}
	return lines, all, nil
}

// newSealingKey derives a key for each use, and a name that tells nothing of it.
func newSealingKey(secret []byte) (k sealingKey, err error) {
	sum := sha256.Sum256(append([]byte("gridgate key id"), secret...))
	copy(k.id[:], sum[:])
	seal, err := hkdf.Key(sha256.New, secret, nil, "gridgate seal", keyLen)
	if err != nil {
		return k, err
	}
	if k.check, err = hkdf.Key(sha256.New, secret, nil, "gridgate check", keyLen); err != nil {
		return k, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return k, err
	}
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	return k, err
}

// makeKeyFile writes beside path and links into place, as makeToken does. What it seals
// outlives a power loss, so its name must too.
func makeKeyFile(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	var secret [keyLen]byte
	rand.Read(secret[:])                   // never fails: crypto/rand ends the program instead
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(secret[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// missing is the error of one who needs a key that is not there.
func (k *Keys) missing(id []byte) error {
	if len(k.all()) == 0 {
		return grid.Errorf(grid.Unavailable, "key file %s is missing: put back the one of this data folder", k.path)
	}
	return grid.Errorf(grid.Unavailable, "sealed under key %x, which %s does not have: add that key to it as its first line", id, k.path)
}

func (k *Keys) byID(id []byte) (*sealingKey, error) {
	all := k.all()
	for i := range all {
		if string(all[i].id[:]) == string(id) {
			return &all[i], nil
		}
	}
	return nil, k.missing(id)
}

// head begins what the newest key seals.
func (k *Keys) head(form byte) ([]byte, *sealingKey, error) {
	all := k.all()
	if len(all) == 0 {
		return nil, nil, k.missing(nil)
	}
	key := &all[len(all)-1]
	return append([]byte{form}, key.id[:]...), key, nil
}

// Seal hides a secret that must be read again. It opens for the same owner only.
func (k *Keys) Seal(secret []byte, owner string) ([]byte, error) {
	out, key, err := k.head(formSealed)
	if err != nil {
		return nil, err
	}
	return key.aead.Seal(out, nil, secret, []byte(owner)), nil
}

// Open gives a secret back.
func (k *Keys) Open(sealed []byte, owner string) ([]byte, error) {
	if len(sealed) < headLen || sealed[0] != formSealed {
		return nil, grid.Errorf(grid.Internal, "what is sealed cannot be read: want form %d", formSealed)
	}
	key, err := k.byID(sealed[1:headLen])
	if err != nil {
		return nil, err
	}
	secret, err := key.aead.Open(nil, nil, sealed[headLen:], []byte(owner))
	if err != nil {
		return nil, grid.Errorf(grid.Internal, "what is sealed is damaged, or another's")
	}
	return secret, nil
}

// Check makes of a secret what it can be compared with, and not read from. It is keyed: who
// has the state file or a backup, and not the key file, cannot even try passwords. So it
// may be quick, which counts when thousands of devices come back at once.
func (k *Keys) Check(secret []byte, owner string) ([]byte, error) {
	out, key, err := k.head(formCheck)
	if err != nil {
		return nil, err
	}
	var salt [saltLen]byte
	rand.Read(salt[:])
	out = append(out, salt[:]...)
	return append(out, key.sum(salt[:], secret, owner)...), nil
}

// Matches compares in the same time whatever the secret is.
func (k *Keys) Matches(check, secret []byte, owner string) (bool, error) {
	if len(check) != headLen+saltLen+sha256.Size || check[0] != formCheck {
		return false, grid.Errorf(grid.Internal, "what is sealed cannot be read: want form %d", formCheck)
	}
	key, err := k.byID(check[1:headLen])
	if err != nil {
		return false, err
	}
	salt, want := check[headLen:headLen+saltLen], check[headLen+saltLen:]
	return hmac.Equal(want, key.sum(salt, secret, owner)), nil
}

func (k *sealingKey) sum(salt, secret []byte, owner string) []byte {
	h := hmac.New(sha256.New, k.check)
	h.Write(salt)
	owned := sha256.Sum256([]byte(owner))
	h.Write(owned[:])
	h.Write(secret)
	return h.Sum(nil)
}

// Has says whether what is sealed can be opened or compared here; nil: it can.
func (k *Keys) Has(sealed []byte) error {
	if len(sealed) < headLen {
		return grid.Errorf(grid.Internal, "what is sealed cannot be read")
	}
	_, err := k.byID(sealed[1:headLen])
	return err
}
