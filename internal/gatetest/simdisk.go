package gatetest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"gridgate/internal/disk"
)

// SimDisk is a disk in memory that keeps what was synced and may lose everything else:
// pages of a file that were written and not synced are kept, lost or torn one by one, each
// by itself; what was created, renamed and removed in a directory that was not synced is
// undone from some point on. Each call takes a time of its own, so that in a bubble of
// testing/synctest the calls of many goroutines come in one order, which the seed gives.
//
// Every call goes through a Life, which is the disk as one process has it: after its death
// nothing gets through any more.
type SimDisk struct {
	Trouble Trouble
	Tell    func(format string, args ...any) // each blow, for the story; nil: nobody

	mu    sync.Mutex
	rng   *rand.Rand
	seed  uint64
	nodes map[string]*node // directories, by path
	life  *Life
	calls map[string]uint64 // by place: what gives each call its time
}

// Trouble is how often, of a thousand calls, the disk fails: a write or a creation finds it
// full, a sync fails and throws away what it was to keep, a read fails. It is never full below
// Not.
type Trouble struct {
	Full, Sync, Read int
	Not              string
}

// node is a file or a directory.
type node struct {
	dir   map[string]*node // of a directory: what is there now
	kept  map[string]*node // what is there after a power loss, if nothing else is
	moves []change         // what a sync of the directory would keep

	pages map[int64]*page
	size  int64
	safe  int64 // length that is durable
}

// change is one entry of a directory that is another now; nil: it is gone.
type change struct {
	name string
	to   *node
}

const simPage = 4096

// page is a page as it reads, and as the disk has it. nil is all zeros.
type page struct {
	now, safe []byte
	dirty     bool // to be written by the next sync
}

// NewSimDisk makes an empty disk whose chance comes from a seed.
func NewSimDisk(seed uint64) *SimDisk {
	d := &SimDisk{seed: seed, rng: rand.New(rand.NewPCG(seed, 0x6469736b)), calls: map[string]uint64{}}
	d.nodes = map[string]*node{"/": newDir()}
	return d
}

func newDir() *node { return &node{dir: map[string]*node{}, kept: map[string]*node{}} }

// ErrDead is what a process gets from its disk after its death.
var ErrDead = errors.New("the process is dead")

// errDying is ErrDead at the very call at which it died.
var errDying = fmt.Errorf("now: %w", ErrDead)

// Life is the disk as one process has it. It dies at a write if Dies says so.
type Life struct {
	*SimDisk
	Dies func(n int, what string) bool // asked before the n-th write of this life, from 1
	Dead chan struct{}                 // closed then

	writes int
	dead   bool
}

// Begin starts a life on the disk.
func (d *SimDisk) Begin(dies func(n int, what string) bool) *Life {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life = &Life{SimDisk: d, Dies: dies, Dead: make(chan struct{})}
	return d.life
}

// End is the death of a process. With power gone too the disk has only what was synced,
// and of the rest what chance leaves.
func (d *SimDisk) End(power bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life.die()
	if !power {
		return
	}
	for _, path := range sorted(d.nodes) {
		d.losePower(path, d.nodes[path])
	}
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (l *Life) die() {
	if !l.dead {
		l.dead = true
		close(l.Dead)
	}
}

func (d *SimDisk) losePower(path string, dir *node) {
	keep := d.rng.IntN(len(dir.moves) + 1)
	if len(dir.moves) > keep {
		d.tell("power loss: of %d unsynced changes in %s %d are kept", len(dir.moves), path, keep)
	}
	for _, c := range dir.moves[:keep] {
		c.apply(dir.kept)
	}
	dir.moves = nil
	dir.dir = make(map[string]*node, len(dir.kept))
	for _, name := range sorted(dir.kept) {
		f := dir.kept[name]
		dir.dir[name] = f
		if f.dir == nil {
			d.loseFile(filepath.Join(path, name), f)
		}
	}
}

func (c change) apply(to map[string]*node) {
	if c.to == nil {
		delete(to, c.name)
	} else {
		to[c.name] = c.to
	}
}

func (d *SimDisk) loseFile(path string, f *node) {
	if f.size != f.safe && d.rng.IntN(2) == 0 {
		d.tell("power loss: %s is %d bytes again, not %d", bare(path), f.safe, f.size)
		f.size = f.safe
	}
	f.safe = f.size
	var at []int64
	for n := range f.pages {
		at = append(at, n)
	}
	slices.Sort(at)
	for _, n := range at {
		p := f.pages[n]
		switch {
		case p.same():
		case !p.dirty: // a sync failed and said so: the page was never written
			p.now = p.safe
		default:
			d.losePage(path, n, p)
		}
		p.safe, p.dirty = p.now, false
		if n*simPage >= f.size {
			delete(f.pages, n)
		}
	}
	f.clearTail()
}

// losePage keeps a page, loses it, or has written some of its sectors.
func (d *SimDisk) losePage(path string, n int64, p *page) {
	switch d.rng.IntN(3) {
	case 0:
	case 1:
		d.tell("power loss: page %d of %s is lost", n, bare(path))
		p.now = p.safe
	default:
		const sector = 512
		d.tell("power loss: page %d of %s is torn", n, bare(path))
		torn := make([]byte, simPage)
		for at := 0; at < simPage; at += sector {
			from := p.now
			if d.rng.IntN(2) == 0 {
				from = p.safe
			}
			if from != nil {
				copy(torn[at:at+sector], from[at:])
			}
		}
		p.now = torn
	}
}

func (p *page) same() bool { return string(p.now) == string(p.safe) }

// clearTail makes what lies behind the end of a file zeros, as a file system does.
func (f *node) clearTail() {
	if p := f.pages[f.size/simPage]; p != nil && p.now != nil {
		b := slices.Clone(p.now)
		clear(b[f.size%simPage:])
		p.now = b
	}
}

func (d *SimDisk) tell(format string, args ...any) {
	if d.Tell != nil {
		d.Tell(format, args...)
	}
}

// place is whose call it is: the directory and what kind of file.
func place(name string) string { return filepath.Dir(name) + filepath.Ext(name) }

// enter waits for the time that this call takes, and says whether its process still lives.
func (l *Life) enter(op, name string, write bool) error {
	at := place(name)
	l.mu.Lock()
	l.calls[at]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", at, l.calls[at])
	l.mu.Unlock()
	if write { // a read waits for nobody: nothing that others see comes of it
		time.Sleep(10*time.Microsecond + time.Duration(h.Sum64()%1_000_003))
	}
	l.mu.Lock()
	if l.dead {
		l.mu.Unlock()
		return &fs.PathError{Op: op, Path: name, Err: ErrDead}
	}
	if write {
		l.writes++
		if l.Dies != nil && l.Dies(l.writes, op+" "+name) {
			l.die()
			l.mu.Unlock()
			return &fs.PathError{Op: op, Path: name, Err: errDying}
		}
	}
	return nil // locked
}

// Write counts a write that is not the disk's own, such as a commit of the state: it takes
// its time, and false says that the process died before it.
func (l *Life) Write(what string) bool {
	if l.enter("write", what, true) != nil {
		return false
	}
	l.mu.Unlock()
	return true
}

// Full says that a write that is not the disk's own finds it full.
func (l *Life) Full(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fails(l.Trouble.Full, "write", what, syscall.ENOSPC) != nil
}

// Writes is how many there were in this life.
func (l *Life) Writes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writes
}

// fails throws the dice for a trouble: those of this call, whoever else calls meanwhile. Locked.
func (l *Life) fails(per1000 int, op, name string, err error) error {
	if per1000 == 0 || l.dice(name)%1000 >= uint64(per1000) {
		return nil
	}
	if l.Trouble.Not != "" && strings.HasPrefix(name, l.Trouble.Not) && err == syscall.ENOSPC {
		return nil
	}
	l.tell("trouble: %s of %s: %v", op, bare(name), err)
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func (l *Life) dice(name string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", l.seed, place(name), l.calls[place(name)])
	return h.Sum64() >> 20 // the low bits of FNV follow the input
}

// bare is a name without what is random in it.
func bare(name string) string {
	dir, base := filepath.Split(name)
	if parts := strings.Split(base, "-"); len(parts) == 3 {
		base = parts[0] + "-" + parts[1] + filepath.Ext(base)
	}
	return dir + base
}

func (d *SimDisk) parent(name string) (*node, string, error) {
	dir := d.nodes[filepath.Dir(name)]
	if dir == nil {
		return nil, "", fs.ErrNotExist
	}
	return dir, filepath.Base(name), nil
}

func (n *node) set(name string, to *node) {
	c := change{name, to}
	c.apply(n.dir)
	n.moves = append(n.moves, c)
}

// OpenFile, like all that follows, is what package os says of it.
func (l *Life) OpenFile(name string, flag int, _ fs.FileMode) (disk.File, error) {
	write := flag&(os.O_CREATE|os.O_TRUNC) != 0
	if err := l.enter("open", name, write); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	dir, base, err := l.parent(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f := dir.dir[base]
	switch {
	case f == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case f == nil:
		if err := l.fails(l.Trouble.Full, "create", name, syscall.ENOSPC); err != nil {
			return nil, err
		}
		f = &node{pages: map[int64]*page{}}
		dir.set(base, f)
	case flag&os.O_TRUNC != 0:
		f.truncate(0)
	}
	return &simFile{life: l, name: name, node: f}, nil
}

func (l *Life) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := l.enter("read", name, false); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	dir := l.nodes[filepath.Clean(name)]
	if dir == nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var out []fs.DirEntry
	for _, n := range sorted(dir.dir) {
		out = append(out, fs.FileInfoToDirEntry(info{n, dir.dir[n].size, dir.dir[n].dir != nil}))
	}
	return out, nil
}

func (l *Life) Stat(name string) (fs.FileInfo, error) {
	if err := l.enter("stat", name, false); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	dir, base, err := l.parent(name)
	if err != nil || dir.dir[base] == nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	f := dir.dir[base]
	return info{base, f.size, f.dir != nil}, nil
}

// MkdirAll makes directories that a power loss does not take: a gateway makes them once.
func (l *Life) MkdirAll(name string, _ fs.FileMode) error {
	if err := l.enter("mkdir", name, false); err != nil {
		return err
	}
	defer l.mu.Unlock()
	for _, path := range above(filepath.Clean(name)) {
		if l.nodes[path] == nil {
			l.nodes[path] = newDir()
			up := l.nodes[filepath.Dir(path)]
			up.dir[filepath.Base(path)], up.kept[filepath.Base(path)] = l.nodes[path], l.nodes[path]
		}
	}
	return nil
}

// above are a path and all that it lies in, from the top.
func above(path string) []string {
	if path == "/" {
		return nil
	}
	return append(above(filepath.Dir(path)), path)
}

func (l *Life) Rename(from, to string) error {
	if err := l.enter("rename", to, true); err != nil {
		return err
	}
	defer l.mu.Unlock()
	dir, base, err := l.parent(from)
	if err != nil || dir.dir[base] == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	// Both are one change: a power loss never leaves neither name.
	f := dir.dir[base]
	dir.set(filepath.Base(to), f)
	dir.set(base, nil)
	return nil
}

func (l *Life) Remove(name string) error {
	if err := l.enter("remove", name, true); err != nil {
		return err
	}
	defer l.mu.Unlock()
	dir, base, err := l.parent(name)
	if err != nil || dir.dir[base] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	dir.set(base, nil)
	return nil
}

func (l *Life) SyncDir(name string) error {
	if err := l.enter("sync", name, true); err != nil {
		return err
	}
	defer l.mu.Unlock()
	dir := l.nodes[filepath.Clean(name)]
	if dir == nil {
		return &fs.PathError{Op: "sync", Path: name, Err: fs.ErrNotExist}
	}
	for _, c := range dir.moves {
		c.apply(dir.kept)
	}
	dir.moves = nil
	return nil
}

// Lock is free after every death.
func (l *Life) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (l *Life) Space(string) (disk.Space, error) {
	return disk.Space{Free: 1 << 40, Total: 1 << 41}, nil
}

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o750
	}
	return 0o640
}

// simFile is an open file.
type simFile struct {
	life *Life
	name string
	node *node
	pos  int64
}

func (f *simFile) Close() error { return nil }

func (f *simFile) Stat() (fs.FileInfo, error) {
	f.life.mu.Lock()
	defer f.life.mu.Unlock()
	return info{filepath.Base(f.name), f.node.size, false}, nil
}

func (f *simFile) Read(b []byte) (int, error) {
	n, err := f.ReadAt(b, f.pos)
	f.pos += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *simFile) Write(b []byte) (int, error) {
	n, err := f.WriteAt(b, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *simFile) Seek(off int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return 0, fmt.Errorf("seek %s: want it from the start", f.name)
	}
	f.pos = off
	return off, nil
}

func (f *simFile) ReadAt(b []byte, off int64) (int, error) {
	l := f.life
	if err := l.enter("read", f.name, false); err != nil {
		return 0, err
	}
	defer l.mu.Unlock()
	if err := l.fails(l.Trouble.Read, "read", f.name, syscall.EIO); err != nil {
		return 0, err
	}
	n := int(max(0, min(int64(len(b)), f.node.size-off)))
	for done := 0; done < n; {
		at := off + int64(done)
		part := b[done:min(n, done+int(simPage-at%simPage))]
		if p := f.node.pages[at/simPage]; p != nil && p.now != nil {
			copy(part, p.now[at%simPage:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt of a process that dies in it may have written some of it.
func (f *simFile) WriteAt(b []byte, off int64) (int, error) {
	l := f.life
	if err := l.enter("write", f.name, true); err != nil {
		if errors.Is(err, errDying) {
			l.half(f, b, off)
		}
		return 0, err
	}
	defer l.mu.Unlock()
	if err := l.fails(l.Trouble.Full, "write", f.name, syscall.ENOSPC); err != nil {
		n := int(l.dice(f.name) / 1000 % uint64(len(b)+1))
		f.node.write(b[:n], off)
		return n, err
	}
	f.node.write(b, off)
	return len(b), nil
}

// half is the part of a write that reached the kernel before its process died of it.
func (l *Life) half(f *simFile, b []byte, off int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rng.IntN(2) == 0 {
		f.node.write(b[:l.rng.IntN(len(b)+1)], off)
	}
}

var noBytes [simPage]byte

func (n *node) write(b []byte, off int64) {
	for done := 0; done < len(b); {
		at := off + int64(done)
		part := b[done:min(len(b), done+int(simPage-at%simPage))]
		done += len(part)
		zero := len(part) == simPage && string(part) == string(noBytes[:])
		p := n.pages[at/simPage]
		if p == nil && zero {
			continue // it reads so already, and is so on the disk
		}
		if p == nil {
			p = &page{}
			n.pages[at/simPage] = p
		}
		p.dirty = true
		if zero {
			p.now = nil
			continue
		}
		now := make([]byte, simPage)
		copy(now, p.now)
		copy(now[at%simPage:], part)
		p.now = now
	}
	n.size = max(n.size, off+int64(len(b)))
}

func (n *node) truncate(size int64) {
	for at, p := range n.pages {
		if at*simPage >= size {
			p.now, p.dirty = nil, true
		}
	}
	n.size = size
	n.clearTail()
}

func (f *simFile) Truncate(size int64) error {
	l := f.life
	if err := l.enter("truncate", f.name, true); err != nil {
		return err
	}
	defer l.mu.Unlock()
	f.node.truncate(size)
	return nil
}

func (f *simFile) Sync() error {
	l := f.life
	if err := l.enter("sync", f.name, true); err != nil {
		return err
	}
	defer l.mu.Unlock()
	if err := l.fails(l.Trouble.Sync, "sync", f.name, syscall.EIO); err != nil {
		for _, p := range f.node.pages {
			p.dirty = false // what Linux does: the next sync will say that all is well
		}
		return err
	}
	for at, p := range f.node.pages {
		if p.dirty {
			p.safe, p.dirty = p.now, false
		}
		if at*simPage >= f.node.size && p.same() {
			delete(f.node.pages, at)
		}
	}
	f.node.safe = f.node.size
	return nil
}

func (f *simFile) SyncData() error { return f.Sync() }

func (f *simFile) Allocate(off, size int64) error {
	l := f.life
	if err := l.enter("allocate", f.name, true); err != nil {
		return err
	}
	defer l.mu.Unlock()
	if err := l.fails(l.Trouble.Full, "allocate", f.name, syscall.ENOSPC); err != nil {
		return err
	}
	f.node.size = max(f.node.size, off+size) // blocks that read as zeros
	return nil
}
