package engine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// The checkpoint file holds the soft state. It is a run of blocks, each with the rows
// that changed since the block before it and the cursors at which they were right:
//
//	magic "GGCK" | version 3 | blocks…
//	block: length u32 | crc32c u32 of the body | body
//	body:  cursors (epoch u32, seq u64) per lane | rows…
//
// Loading applies block after block and stops at the first that is torn: the block
// before it is then the checkpoint. When the file has grown to several times what is
// live it is written anew beside itself and renamed.

const (
	checkpointMagic   = "GGCK\x03"
	checkpointFile    = "soft.ckpt"
	maxCheckpointBody = 1 << 30
	// growth is how many times its first size the file may grow before it is rewritten.
	growth        = 4
	minRewriteLen = 16 << 20
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

type cursors [grid.Lanes]grid.Pos

// checkpointer writes blocks. One goroutine at a time uses it.
type checkpointer struct {
	dir   string
	disk  disk.FS
	f     disk.File
	size  int64
	first int64 // size after the last rewrite
}

func openCheckpoint(files disk.FS, dir string) (*checkpointer, error) {
	c := &checkpointer{disk: files, dir: dir}
	f, err := files.OpenFile(filepath.Join(dir, checkpointFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the checkpoint of the soft state: %w", err)
	}
	c.f = f
	return c, nil
}

func (c *checkpointer) close() error { return c.f.Close() }

// load reads the file into fn, a call for each good block, and cuts what is torn.
func (c *checkpointer) load(fn func(body []byte) error) error {
	r := bufio.NewReaderSize(c.f, 1<<20)
	head := make([]byte, len(checkpointMagic))
	good := int64(0)
	_, err := io.ReadFull(r, head)
	if err = tornBlock(err); err != nil && !errors.Is(err, errTorn) {
		return fmt.Errorf("read the checkpoint: %w", err)
	}
	if err == nil && string(head) == checkpointMagic {
		good = int64(len(head))
		for {
			body, err := readBlock(r)
			if errors.Is(err, errTorn) {
				break // or at the end: what came before holds
			} else if err != nil {
				return fmt.Errorf("read the checkpoint: %w", err)
			}
			if err := fn(body); err != nil {
				return fmt.Errorf("checkpoint block at byte %d: %w", good, err)
			}
			good += int64(8 + len(body))
		}
	}
	if good == 0 { // empty, or of another version: start anew from the journal
		if err := c.f.Truncate(0); err != nil {
			return err
		}
		if _, err := c.f.WriteAt([]byte(checkpointMagic), 0); err != nil {
			return err
		}
		if err := c.disk.SyncDir(c.dir); err != nil {
			return err
		}
		good = int64(len(checkpointMagic))
	} else if err := c.f.Truncate(good); err != nil {
		return err
	}
	c.size, c.first = good, good
	_, err = c.f.Seek(good, io.SeekStart)
	return err
}

var errTorn = errors.New("torn block")

// tornBlock tells the end of a file from a disk that does not read: the one is cut, and the
// other may read again later.
func tornBlock(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

func readBlock(r io.Reader) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, tornBlock(err)
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 || n > maxCheckpointBody {
		return nil, errTorn
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, tornBlock(err)
	}
	if crc32.Checksum(body, crcTable) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errTorn
	}
	return body, nil
}

// wantsRewrite reports whether the next block should be a full one.
func (c *checkpointer) wantsRewrite() bool {
	return c.size > minRewriteLen && c.size > growth*c.first
}

// append adds a block and syncs it.
func (c *checkpointer) append(body []byte) error {
	if err := writeBlock(c.f, body); err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	if err := c.f.Sync(); err != nil {
		return fmt.Errorf("sync the checkpoint: %w", err)
	}
	c.size += int64(8 + len(body))
	return nil
}

// rewrite replaces the file by one that holds only this full block.
func (c *checkpointer) rewrite(body []byte) error {
	path := filepath.Join(c.dir, checkpointFile)
	f, err := c.disk.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("rewrite the checkpoint: %w", err)
	}
	if _, err = f.Write([]byte(checkpointMagic)); err == nil {
		if err = writeBlock(f, body); err == nil {
			err = f.Sync()
		}
	}
	if err == nil {
		err = c.disk.Rename(path+".new", path)
	}
	if err == nil {
		err = c.disk.SyncDir(c.dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("rewrite the checkpoint: %w", err), f.Close())
	}
	old := c.f
	c.f, c.size = f, int64(len(checkpointMagic)+8+len(body))
	c.first = c.size
	return old.Close()
}

func writeBlock(w io.Writer, body []byte) error {
	var head [8]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(body)))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(body, crcTable))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

// Row kinds within a block.
const (
	rowDevice = 1
	rowPoint  = 2
	rowPath   = 3
)

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendCursors(b []byte, c cursors) []byte {
	for _, p := range c {
		b = binary.LittleEndian.AppendUint32(b, p.Epoch)
		b = binary.LittleEndian.AppendUint64(b, p.Seq)
	}
	return b
}

func appendDevice(b []byte, id grid.Identity, d *deviceSoft, path string) []byte {
	b = append(b, rowDevice)
	b = appendString(b, string(id))
	b = binary.LittleEndian.AppendUint64(b, uint64(d.heard))
	b = binary.LittleEndian.AppendUint64(b, d.window)
	for _, s := range d.ring {
		b = binary.LittleEndian.AppendUint32(b, s.hash)
		b = binary.LittleEndian.AppendUint32(b, s.counter)
		b = binary.LittleEndian.AppendUint32(b, s.at)
	}
	for _, s := range d.bad {
		b = binary.LittleEndian.AppendUint32(b, s.hash)
		b = binary.LittleEndian.AppendUint32(b, s.at)
	}
	b = binary.LittleEndian.AppendUint32(b, d.top)
	b = binary.LittleEndian.AppendUint32(b, d.frames)
	b = binary.LittleEndian.AppendUint32(b, d.dups)
	b = append(b, byte(d.flags&^dirty), d.ringAt)
	b = binary.LittleEndian.AppendUint16(b, d.battery.Day)
	b = binary.LittleEndian.AppendUint16(b, d.battery.First)
	for _, v := range d.battery.Sums() {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return appendString(b, path)
}

func appendPoint(b []byte, id string, p *pointSoft, ruleName func(uint8) string) []byte {
	b = append(b, rowPoint)
	b = appendString(b, id)
	b = binary.AppendUvarint(b, uint64(len(p.vals)))
	for _, v := range p.vals {
		b = append(b, byte(v.signal), byte(v.flags))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v.v))
		b = binary.LittleEndian.AppendUint32(b, v.received)
		b = binary.LittleEndian.AppendUint32(b, v.at)
	}
	b = binary.AppendUvarint(b, uint64(len(p.conds)))
	for _, c := range p.conds {
		b = appendString(b, ruleName(c.rule))
		b = append(b, byte(c.flags))
		b = binary.LittleEndian.AppendUint64(b, uint64(c.since))
		b = binary.LittleEndian.AppendUint64(b, uint64(c.heard))
	}
	return b
}

func appendPath(b []byte, p *path) []byte {
	b = append(b, rowPath)
	b = appendString(b, p.name)
	b = appendString(b, p.source)
	return binary.LittleEndian.AppendUint64(b, uint64(p.heard))
}

// blockReader takes a block's body apart; after the first error everything reads as zero.
type blockReader struct {
	b   []byte
	err error
}

func (r *blockReader) take(n int) []byte {
	if r.err != nil || n > len(r.b) || n < 0 {
		r.err = errTorn
		return make([]byte, min(max(n, 0), 64))
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *blockReader) byte() byte { return r.take(1)[0] }
func (r *blockReader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *blockReader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *blockReader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *blockReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err = errTorn
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *blockReader) string() string {
	n := r.uvarint()
	if r.err != nil || n > uint64(len(r.b)) {
		r.err = errTorn
		return ""
	}
	return string(r.take(int(n)))
}

// encodeCheckpoint writes the changed rows (or all of them) and clears their marks.
func (e *Engine) encodeCheckpoint(all bool) []byte {
	b := appendCursors(e.spare[:0], e.cursors)
	if all {
		for i := range e.soft.devs {
			if d := &e.soft.devs[i]; d.heard != 0 {
				b = e.encodeDevice(b, registry.DeviceNo(i))
			}
			e.soft.devs[i].flags &^= dirty
		}
		for i := range e.soft.points {
			if p := &e.soft.points[i]; len(p.vals) > 0 {
				b = e.encodePoint(b, registry.PointNo(i))
			}
			e.soft.points[i].flags &^= dirty
		}
	} else {
		for _, n := range e.soft.dirtyD {
			b = e.encodeDevice(b, n)
			e.soft.devs[n].flags &^= dirty
		}
		for _, n := range e.soft.dirtyP {
			b = e.encodePoint(b, n)
			e.soft.points[n].flags &^= dirty
		}
	}
	for i := range e.paths.all {
		b = appendPath(b, &e.paths.all[i])
	}
	e.soft.dirtyD, e.soft.dirtyP = e.soft.dirtyD[:0], e.soft.dirtyP[:0]
	return b
}

func (e *Engine) encodeDevice(b []byte, n registry.DeviceNo) []byte {
	d := &e.soft.devs[n]
	return appendDevice(b, e.memory.DeviceAt(n).Identity, d, e.paths.name(d.path))
}

func (e *Engine) encodePoint(b []byte, n registry.PointNo) []byte {
	rules := e.rulesOf(n)
	return appendPoint(b, e.memory.PointAt(n).ID, &e.soft.points[n], func(r uint8) string {
		if int(r) < len(rules) {
			return string(rules[r].Type)
		}
		return ""
	})
}

// applyBlock puts a block's rows into the tables; rows of what is no longer registered
// are left out.
func (e *Engine) applyBlock(body []byte) (cursors, error) {
	r := &blockReader{b: body}
	var cur cursors
	for lane := range cur {
		cur[lane] = grid.Pos{Lane: grid.Lane(lane), Epoch: r.u32(), Seq: r.u64()}
	}
	for len(r.b) > 0 && r.err == nil {
		switch kind := r.byte(); kind {
		case rowDevice:
			e.readDevice(r)
		case rowPoint:
			e.readPoint(r)
		case rowPath:
			name, source, heard := r.string(), r.string(), int64(r.u64())
			if r.err == nil {
				p := &e.paths.all[e.paths.get(name)]
				p.source, p.heard = source, heard
			}
		default:
			return cur, fmt.Errorf("row kind is %d: want %d to %d", kind, rowDevice, rowPath)
		}
	}
	return cur, r.err
}

func (e *Engine) readDevice(r *blockReader) {
	id := grid.Identity(r.string())
	var d deviceSoft
	d.heard, d.window = int64(r.u64()), r.u64()
	for i := range d.ring {
		d.ring[i] = seen{hash: r.u32(), counter: r.u32(), at: r.u32()}
	}
	for i := range d.bad {
		d.bad[i] = seen{hash: r.u32(), at: r.u32()}
	}
	d.top, d.frames, d.dups = r.u32(), r.u32(), r.u32()
	d.flags, d.ringAt = softFlags(r.byte())&^dirty, r.byte()%uint8(len(d.ring))
	d.battery.Day, d.battery.First = r.u16(), r.u16()
	var sums [5]float32
	for i := range sums {
		sums[i] = math.Float32frombits(r.u32())
	}
	d.battery.SetSums(sums)
	path := r.string()
	if n, ok := e.memory.Device(id); ok && r.err == nil {
		d.path = e.paths.get(path)
		e.soft.devs[n] = d
	}
}

func (e *Engine) readPoint(r *blockReader) {
	id := r.string()
	var p pointSoft
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		v := value{signal: grid.Signal(r.byte()), flags: valueFlags(r.byte()), v: math.Float32frombits(r.u32()), received: r.u32(), at: r.u32()}
		if v.signal < grid.SignalCount {
			p.vals = append(p.vals, v)
		}
	}
	no, known := e.memory.Point(id)
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		name := grid.EventType(r.string())
		c := condition{flags: conditionFlags(r.byte()), since: int64(r.u64()), heard: int64(r.u64())}
		if !known {
			continue
		}
		for i, rule := range e.rulesOf(no) {
			if rule.Type == name {
				c.rule = uint8(i)
				p.conds = append(p.conds, c)
				break
			}
		}
	}
	if known && r.err == nil {
		e.soft.points[no] = p
	}
}
