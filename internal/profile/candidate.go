package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// A candidate is a version of a profile that comes as the texts of its files: it is
// checked as a folder of the gateway's own would be.

// Bounds of a candidate.
const (
	maxFiles    = 16
	maxFileSize = 512 << 10
)

// IDOf reads which profile the files are of, without compiling it.
func IDOf(files map[string]string) (string, error) {
	text, ok := files[profileFile]
	if !ok {
		return "", grid.Errorf(grid.Invalid, "%s is missing: want it among the files", profileFile)
	}
	head, err := parseSpec([]byte(text))
	if err != nil {
		return "", grid.Errorf(grid.Invalid, "%s: %w", profileFile, err)
	}
	if !idForm.MatchString(head.Profile) {
		return "", grid.Errorf(grid.Invalid, `%s: profile is %q: want "<vendor>/<model>"`, profileFile, head.Profile)
	}
	return head.Profile, nil
}

// Candidate compiles a profile out of the texts of its files, by name, and runs its cases.
// What is wrong is told as Lint tells it, all of it. What the profile extends is taken
// from s.
func (s *Set) Candidate(files map[string]string) (*Profile, error) {
	id, folder, err := s.folderOf(files)
	if err != nil {
		return nil, err
	}
	if wrong := s.lintCandidate(folder, id); len(wrong) > 0 {
		return nil, grid.Errorf(grid.Invalid, "%w", errors.Join(wrong...))
	}
	return s.compileCandidate(folder, id)
}

// Compile is Candidate without its cases: for files that were checked before.
func (s *Set) Compile(files map[string]string) (*Profile, error) {
	id, folder, err := s.folderOf(files)
	if err != nil {
		return nil, err
	}
	return s.compileCandidate(folder, id)
}

// LintFiles gives everything that is wrong with a candidate; none: it may be used.
func (s *Set) LintFiles(files map[string]string) (id string, wrong []error) {
	id, folder, err := s.folderOf(files)
	if err != nil {
		return id, []error{err}
	}
	return id, s.lintCandidate(folder, id)
}

func (s *Set) lintCandidate(folder memoryFS, id string) []error { return Lint(folder, id, s.from...) }

func (s *Set) compileCandidate(folder memoryFS, id string) (*Profile, error) {
	return load(s.workers, folder, path.Join(id, profileFile), s.from...)
}

func (s *Set) folderOf(files map[string]string) (string, memoryFS, error) {
	id, err := IDOf(files)
	if err != nil {
		return "", nil, err
	}
	if len(files) > maxFiles {
		return id, nil, grid.Errorf(grid.Invalid, "%d files: want at most %d", len(files), maxFiles)
	}
	folder := memoryFS{}
	for name, text := range files {
		if !fs.ValidPath(name) || strings.Contains(name, "/") {
			return id, nil, grid.Errorf(grid.Invalid, "file %q: want a name without a folder", name)
		}
		if len(text) > maxFileSize {
			return id, nil, grid.Errorf(grid.Invalid, "file %s has %d bytes: want at most %d", name, len(text), maxFileSize)
		}
		folder[path.Join(id, name)] = text
	}
	return id, folder, nil
}

// With is s with some profiles put in the place of those of the same id, or added.
func (s *Set) With(profiles ...*Profile) *Set {
	out := &Set{byID: maps.Clone(s.byID), folder: s.folder, from: s.from, workers: s.workers}
	for _, p := range profiles {
		out.byID[p.ID] = p
	}
	for _, id := range slices.Sorted(maps.Keys(out.byID)) {
		out.list = append(out.list, out.byID[id])
	}
	return out
}

// Files gives the texts of the files of a loaded profile, by name.
func (s *Set) Files(id string) (map[string]string, error) {
	p, err := s.Get(id)
	if err != nil {
		return nil, err
	}
	folder := s.folder[p.ID]
	if folder == nil {
		return nil, grid.Errorf(grid.NotFound, "profile %s: its files are not known", p.ID)
	}
	return readFolder(folder, p.ID)
}

// ReadFolder gives the texts of the files in the folder of a profile, by name.
func ReadFolder(folder fs.FS) (map[string]string, error) { return readFolder(folder, ".") }

func readFolder(folder fs.FS, dir string) (map[string]string, error) {
	entries, err := fs.ReadDir(folder, dir)
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	files := map[string]string{}
	for _, e := range entries {
		switch path.Ext(e.Name()) {
		case ".yaml", ".yml", ".js", ".json":
		default:
			continue
		}
		if e.IsDir() {
			continue
		}
		b, err := fs.ReadFile(folder, path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("profiles: %w", err)
		}
		files[e.Name()] = string(b)
	}
	return files, nil
}

// memoryFS is a file system of texts by path.
type memoryFS map[string]string

func (m memoryFS) ReadFile(name string) ([]byte, error) {
	text, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func (m memoryFS) Open(name string) (fs.File, error) {
	b, err := m.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &memoryFile{Reader: bytes.NewReader(b), name: path.Base(name), size: int64(len(b))}, nil
}

type memoryFile struct {
	*bytes.Reader
	name string
	size int64
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Name() string               { return f.name }
func (f *memoryFile) Size() int64                { return f.size }
func (f *memoryFile) Mode() fs.FileMode          { return 0o444 }
func (f *memoryFile) ModTime() time.Time         { return time.Time{} }
func (f *memoryFile) IsDir() bool                { return false }
func (f *memoryFile) Sys() any                   { return nil }
