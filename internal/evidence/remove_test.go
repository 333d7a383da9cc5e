package evidence

import (
	"bytes"
	"testing"
)

// A file goes when nothing refers to it, and not while the row of the same bytes is on its way.
func TestAFileIsRemovedWhenNothingRefersToIt(t *testing.T) {
	f, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 100)...)
	put := func() string {
		t.Helper()
		s, err := f.Put(bytes.NewReader(png))
		if err != nil {
			t.Fatal(err)
		}
		return s.SHA256
	}
	used := false
	remove := func(want bool, when string) {
		t.Helper()
		if gone, err := f.Remove(put(), func() (bool, error) { return used, nil }); err != nil || gone != want {
			t.Errorf("%s: gone %v, %v", when, gone, err)
		}
	}
	sum := put()
	remove(false, "while two are on their way") // that of put in remove, too
	f.Done(sum)
	f.Done(sum)
	used = true
	if gone, err := f.Remove(sum, func() (bool, error) { return used, nil }); gone || err != nil {
		t.Errorf("another has it: gone %v, %v", gone, err)
	}
	used = false
	for _, when := range []string{"nobody has it", "and once more"} {
		if gone, err := f.Remove(sum, func() (bool, error) { return used, nil }); !gone || err != nil {
			t.Errorf("%s: gone %v, %v", when, gone, err)
		}
	}
	if _, err := f.Get(sum); err == nil {
		t.Error("it can be read still")
	}
	if _, err := f.Remove("../../etc/passwd", func() (bool, error) { return false, nil }); err == nil {
		t.Error("a name that is no hash is removed")
	}
}
