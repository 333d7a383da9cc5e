package evidence_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"gridgate/internal/evidence"
	"gridgate/internal/grid"
)

var jpeg = append([]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00"), bytes.Repeat([]byte{7}, 2000)...)

func open(t *testing.T) (*evidence.Files, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "evidence")
	f, err := evidence.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f, dir
}

// kept counts the files in a folder.
func kept(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAFileIsKeptOnceUnderItsHash(t *testing.T) {
	f, dir := open(t)
	for range 2 {
		s, err := f.Put(iotest.OneByteReader(bytes.NewReader(jpeg)))
		if err != nil {
			t.Fatal(err)
		}
		if s.Type != "image/jpeg" || s.Bytes != int64(len(jpeg)) {
			t.Fatalf("stored %+v", s)
		}
		file, err := f.Get(s.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(file)
		file.Close()
		if err != nil || !bytes.Equal(got, jpeg) {
			t.Fatal("it comes back changed: ", err)
		}
		if err := f.Verify(s.SHA256); err != nil {
			t.Error(err)
		}
	}
	if n := kept(t, dir); n != 1 {
		t.Errorf("%d files in the folder, want 1", n)
	}
}

func TestWhatIsNoPhotoIsRefusedAndLeavesNothing(t *testing.T) {
	f, dir := open(t)
	for name, c := range map[string]struct {
		r    io.Reader
		want string
	}{
		"nothing":              {strings.NewReader(""), "file is empty"},
		"a page with a script": {strings.NewReader("<html><script>1</script>"), "text/html"},
		"a program":            {strings.NewReader("MZ\x90\x00" + strings.Repeat("x", 600)), "application/octet-stream"},
		"too large":            {io.MultiReader(bytes.NewReader(jpeg), io.LimitReader(zeros{}, evidence.MaxBytes)), "over 10 MiB"},
	} {
		if _, err := f.Put(c.r); grid.CodeOf(err) != grid.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want invalid: %s", name, err, c.want)
		}
	}
	broken := errors.New("the phone is gone")
	if _, err := f.Put(io.MultiReader(bytes.NewReader(jpeg), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("half a file: %v", err)
	}
	if n := kept(t, dir); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestAFileThatChangedIsFound(t *testing.T) {
	f, dir := open(t)
	s, err := f.Put(bytes.NewReader(jpeg))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, s.SHA256[:2], s.SHA256), jpeg[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(s.SHA256); err == nil || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("%v", err)
	}
}

func TestANameThatIsNoHashOpensNothing(t *testing.T) {
	f, _ := open(t)
	for _, name := range []string{"", "..", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("a", 63) + "/"} {
		if _, err := f.Get(name); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := f.Get(strings.Repeat("a", 64)); grid.CodeOf(err) != grid.NotFound {
		t.Error("a hash that is not there: ", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
