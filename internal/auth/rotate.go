package auth

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gridgate/internal/grid"
)

// Name is what the key that seals now is called: it tells nothing of it.
func (k *Keys) Name() string {
	all := k.all()
	if len(all) == 0 {
		return ""
	}
	return hex.EncodeToString(all[len(all)-1].id[:])
}

// Count is how many keys there are.
func (k *Keys) Count() int { return len(k.all()) }

// Newest reports whether something is sealed under the key that seals now.
func (k *Keys) Newest(sealed []byte) bool {
	return len(sealed) >= headLen && hex.EncodeToString(sealed[1:headLen]) == k.Name()
}

// Rotate adds a key to the file, durably, and seals under it from then on. A key that
// somebody has added to the file by hand is in force too.
func (k *Keys) Rotate() error {
	var secret [keyLen]byte
	rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	return k.change(func(lines []string, _ []sealingKey) []string { return append(lines, hex.EncodeToString(secret[:])) })
}

// Prune takes out the keys but the newest under which nothing is sealed: used are the names
// of those that are in use, beginnings of what was sealed as UsedBy gives them.
func (k *Keys) Prune(used map[string]bool) (removed int, err error) {
	err = k.change(func(lines []string, all []sealingKey) (rest []string) {
		for i, line := range lines {
			if i == len(lines)-1 || used[hex.EncodeToString(all[i].id[:])] {
				rest = append(rest, line)
			} else {
				removed++
			}
		}
		return rest
	})
	return removed, err
}

// UsedBy names the key under which something is sealed; "" is none.
func UsedBy(sealed []byte) string {
	if len(sealed) < headLen {
		return ""
	}
	return hex.EncodeToString(sealed[1:headLen])
}

// change writes the file anew beside itself and moves it into place: at no moment is it not
// there, and what was in force stays so if anything fails.
func (k *Keys) change(to func(lines []string, all []sealingKey) []string) error {
	k.file.Lock()
	defer k.file.Unlock()
	if len(k.all()) == 0 {
		return k.missing(nil)
	}
	lines, all, err := k.read()
	if err != nil {
		return err
	}
	info, err := os.Stat(k.path)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return grid.Errorf(grid.Unavailable, "key file %s can be read by others: want 0600", k.path)
	}
	dir := filepath.Dir(k.path)
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(strings.Join(to(lines, all), "\n") + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if err := os.Rename(f.Name(), k.path); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if _, all, err = k.read(); err == nil {
		k.keys.Store(&all)
	}
	return err
}
