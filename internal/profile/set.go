package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gridgate/internal/grid"
)

// The files of a profile, in the folder <vendor>/<model>.
const (
	profileFile = "profile.yaml"
	casesFile   = "cases.yaml"
)

// Set is all loaded profiles. It does not change and is safe for concurrent use.
type Set struct {
	list   []*Profile // by id
	byID   map[string]*Profile
	folder map[string]fs.FS // id → where its files are
	from   []fs.FS          // what was loaded

	workers *workers // run the code of device makers
}

// Load reads every <vendor>/<model>/profile.yaml of each file system; a profile of a
// later one takes the place of an earlier one with the same id. Any file that is not
// right fails the load; the error tells all of them, each with file, key and wish.
func Load(fsys ...fs.FS) (*Set, error) {
	s := &Set{byID: map[string]*Profile{}, folder: map[string]fs.FS{}, from: fsys, workers: newWorkers()}
	var wrong []error
	for _, f := range fsys {
		files, err := fs.Glob(f, "*/*/"+profileFile)
		if err != nil {
			return nil, fmt.Errorf("profiles: %w", err)
		}
		loaded, errs := s.loadAll(f, files)
		for i, p := range loaded {
			if errs[i] != nil {
				wrong = append(wrong, errs[i])
				continue
			}
			s.byID[p.ID], s.folder[p.ID] = p, f
		}
	}
	if len(wrong) > 0 {
		s.Close()
		return nil, errors.Join(wrong...)
	}
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		s.list = append(s.list, s.byID[id])
	}
	return s, nil
}

// loadAll compiles files side by side: a hundred take a tenth of a second on one core, and
// every start waits for them. Profile or error i is of file i.
func (s *Set) loadAll(fsys fs.FS, files []string) ([]*Profile, []error) {
	profiles, errs := make([]*Profile, len(files)), make([]error, len(files))
	var next atomic.Int64
	var done sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		done.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(files); i = int(next.Add(1)) - 1 {
				profiles[i], errs[i] = load(s.workers, fsys, files[i], s.from...)
			}
		})
	}
	done.Wait()
	return profiles, errs
}

// load compiles one file; what it extends is beside it or in one of bases.
func load(w *workers, fsys fs.FS, file string, bases ...fs.FS) (*Profile, error) {
	spec, err := readSpec(fsys, file, bases...)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", file, err)
	}
	p, err := compile(spec, w)
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", file, err)
	}
	if dir := path.Dir(file); p.ID != dir {
		return nil, grid.Errorf(grid.Invalid, "%s: profile is %q: want %q, its folder", file, p.ID, dir)
	}
	p.file = file
	return p, nil
}

// Parse compiles one profile that extends none. Its error names the key and the wish.
func Parse(raw []byte) (*Profile, error) {
	spec, err := parseSpec(raw)
	if err != nil {
		return nil, err
	}
	if spec.Extends != "" {
		return nil, fmt.Errorf("extends is %q: want it in a folder beside the profile it extends", spec.Extends)
	}
	w := newWorkers()
	p, err := compile(spec, w)
	if err != nil {
		w.close()
		return nil, err
	}
	p.own = w
	return p, nil
}

// Close ends the codec workers of the set, of sets made of it With others, and of its
// candidates, and waits for them. Decode of profiles that need one fails from then on.
func (s *Set) Close() {
	if s.workers != nil {
		s.workers.close()
	}
}

// Get finds a profile by id. "<id>@<version>", as a frame names it, finds it too.
func (s *Set) Get(id string) (*Profile, error) {
	bare, _, _ := strings.Cut(strings.ToLower(id), "@")
	if p := s.byID[bare]; p != nil {
		return p, nil
	}
	return nil, grid.Errorf(grid.NotFound, "profile is %q: %s", id, wish(bare, slices.Sorted(maps.Keys(s.byID))))
}

// List gives all profiles by id.
func (s *Set) List() []*Profile { return slices.Clone(s.list) }

// Sources gives what the set was loaded from, in order.
func (s *Set) Sources() []fs.FS { return slices.Clone(s.from) }
