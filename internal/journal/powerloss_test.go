//go:build linux

package journal_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
)

const childEnv = "GRIDGATE_JOURNAL_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func childOptions() journal.Options {
	return journal.Options{SegmentBytes: 256 << 10, ReserveBytes: -1, MinFreeBulk: -1, MinFreeSafety: -1}
}

// child appends until it is killed. It says on standard output what it was told: "ack"
// for a frame that was acknowledged, "saw" for one that a reader was shown.
func child(dir string) error {
	log, err := journal.Open(dir, childOptions())
	if err != nil {
		return err
	}
	var out sync.Mutex
	say := func(what string, pos grid.Pos, address string) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf("%s %d %d %d %s\n", what, pos.Lane, pos.Epoch, pos.Seq, address)
	}
	errs := make(chan error, 1)
	fail := func(err error) {
		select {
		case errs <- err:
		default:
		}
	}
	ctx := context.Background()
	for lane := range grid.Lane(grid.Lanes) {
		head := log.Head(lane).Seq
		go func() {
			for after := head - min(head, 100); ; {
				frames, err := log.Next(ctx, lane, after, 100)
				if err != nil {
					fail(err)
					return
				}
				for _, f := range frames {
					say("saw", f.Pos, f.Address)
				}
				after = frames[len(frames)-1].Pos.Seq
			}
		}()
	}
	for w := range 20 {
		go func() {
			for n := 0; ; n++ {
				frames := make([]grid.Frame, 1+rand.IntN(3))
				for i := range frames {
					address := fmt.Sprintf("%d/%d/%d/%d", os.Getpid(), w, n, i)
					frames[i] = grid.Frame{Identity: "sn:1", Transport: "mqtt", Source: fmt.Sprint(w), Address: address, Raw: content(address)}
				}
				if err := log.Append(ctx, grid.Lane(w%grid.Lanes), frames); err != nil {
					fail(err)
					return
				}
				for _, f := range frames {
					say("ack", f.Pos, f.Address)
				}
			}
		}()
	}
	go func() { fail(log.Run(ctx)) }()
	return <-errs
}

// content is the payload that belongs to an address.
func content(address string) []byte {
	h := fnv.New64a()
	h.Write([]byte(address))
	sum := h.Sum(nil)
	return bytes.Repeat(sum, int(sum[0])%60+1)
}

// TestNothingAcknowledgedIsLostToPowerLoss kills a process that appends, cuts the power
// of its disk, and looks for everything that was acknowledged or shown, again and again
// on the same disk. Sometimes only the process dies: what it had not synced then is
// still there, is shown by the next, and must not be lost with the power after that.
func TestNothingAcknowledgedIsLostToPowerLoss(t *testing.T) {
	disk := gatetest.PowerLossDisk(t)
	dir := filepath.Join(disk.Dir(), "journal")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[grid.Pos]string) // all that anybody was told
	cycles, frames, limit := 0, 0, 60
	if testing.Short() {
		limit = 10
	}
	for begin := time.Now(); cycles < limit && time.Since(begin) < 20*time.Second; cycles++ {
		frames += killChild(t, exe, dir, time.Duration(1+rand.IntN(40))*time.Millisecond, known)
		if cycles%3 == 1 {
			killChild(t, exe, dir, 0, known)
		}
		disk.Crash()
		checkKnown(t, dir, known)
	}
	t.Logf("%d power losses, %d frames acknowledged, none lost", cycles, frames)
	if frames < 100*cycles {
		t.Errorf("only %d frames were acknowledged in %d cycles: this shows nothing", frames, cycles)
	}
}

// killChild runs the child for a time after its first word, kills it, adds to known what
// it said, and returns how many frames were acknowledged.
func killChild(t *testing.T, exe, dir string, after time.Duration, known map[grid.Pos]string) int {
	t.Helper()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	acks := 0
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); first = false {
		if first {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		var what, address string
		var pos grid.Pos
		if _, err := fmt.Sscanf(lines.Text(), "%s %d %d %d %s", &what, &pos.Lane, &pos.Epoch, &pos.Seq, &address); err != nil {
			continue // cut off by the kill
		}
		if what == "ack" {
			acks++
		}
		if was, ok := known[pos]; ok && was != address {
			t.Errorf("position %v was %q and is %q: a sequence was used twice", pos, was, address)
		}
		known[pos] = address
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() > 0 {
		t.Fatalf("child: %v", err)
	}
	return acks
}

// checkKnown opens the journal and looks for every known frame.
func checkKnown(t *testing.T, dir string, known map[grid.Pos]string) {
	t.Helper()
	log, err := journal.Open(dir, childOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	found := 0
	for lane := range grid.Lane(grid.Lanes) {
		for after, head := uint64(0), log.Head(lane).Seq; after < head; {
			frames, err := log.Next(t.Context(), lane, after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range frames {
				if f.Pos.Seq != after+1 || !bytes.Equal(f.Raw, content(f.Address)) {
					t.Fatalf("frame %v after %d is %q with %d bytes that are not its own", f.Pos, after, f.Address, len(f.Raw))
				}
				after++
				if address, ok := known[f.Pos]; ok {
					found++
					if address != f.Address {
						t.Fatalf("frame %v is %q, somebody was told %q", f.Pos, f.Address, address)
					}
				}
			}
		}
	}
	if found != len(known) {
		t.Fatalf("%d of %d known frames are there", found, len(known))
	}
	if harm := log.Stats().Lanes; harm[0].Harm != (journal.Harm{}) || harm[1].Harm != (journal.Harm{}) {
		t.Fatalf("a power loss counts as damage: %+v %+v", harm[0].Harm, harm[1].Harm)
	}
}

func TestAFailedSyncIsFatal(t *testing.T) {
	disk := gatetest.PowerLossDisk(t)
	dir := filepath.Join(disk.Dir(), "journal")
	log, err := journal.Open(dir, childOptions())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- log.Run(t.Context()) }()
	good := []grid.Frame{gatetest.JournalFrame(1)}
	if err := log.Append(t.Context(), grid.Bulk, good); err != nil {
		t.Fatal(err)
	}
	disk.Cut()
	bad := []grid.Frame{gatetest.JournalFrame(2)}
	if err := log.Append(t.Context(), grid.Bulk, bad); err == nil || errors.Is(err, grid.ErrOverloaded) {
		t.Errorf("append on a dead disk gave %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("run ended without an error")
	}
	if !bad[0].Pos.IsZero() || log.Head(grid.Bulk).Seq != 1 {
		t.Errorf("the frame that failed is at %v, the head at %v", bad[0].Pos, log.Head(grid.Bulk))
	}
	for lane := range grid.Lane(grid.Lanes) {
		if err := log.Append(t.Context(), lane, bad); err == nil || errors.Is(err, grid.ErrOverloaded) {
			t.Errorf("a later append in %s gave %v", lane, err)
		}
	}
	if st := log.Stats().Lanes[grid.Bulk]; st.Failed == "" {
		t.Error("stats do not say that the journal has failed")
	}
	_ = log.Close()
	disk.Restore()
	log, stop := start(t, dir, childOptions())
	if err := log.Append(t.Context(), grid.Bulk, bad); err != nil || bad[0].Pos.Seq != 2 {
		t.Errorf("after recovery the frame is at %v, %v", bad[0].Pos, err)
	}
	if f, err := log.Get(good[0].Pos); err != nil || f.Address != good[0].Address {
		t.Errorf("the acknowledged frame is %q, %v", f.Address, err)
	}
	stop()
}

// TestAFullDiskRefusesAndRecovers fills the disk behind the journal's back: between two
// looks at the free space it can only notice when a file will not grow.
func TestAFullDiskRefusesAndRecovers(t *testing.T) {
	disk := gatetest.PowerLossDisk(t)
	o := childOptions()
	o.SegmentBytes = 16 << 20
	log, stop := start(t, filepath.Join(disk.Dir(), "journal"), o)
	fill := filepath.Join(disk.Dir(), "fill")
	taken := 0
	appendOne := func() error {
		f := []grid.Frame{{Identity: "sn:1", Address: fmt.Sprint(taken), Raw: make([]byte, 100_000)}}
		err := log.Append(t.Context(), grid.Bulk, f)
		if err == nil {
			taken++
			if f[0].Pos.Seq != uint64(taken) {
				t.Fatalf("frame %d is at %v", taken, f[0].Pos)
			}
		}
		return err
	}
	for range 3 {
		if err := appendOne(); err != nil {
			t.Fatal(err)
		}
		fillDisk(t, fill)
		var err error
		for n := 0; err == nil && n < 100; n++ {
			err = appendOne()
		}
		if !errors.Is(err, grid.ErrOverloaded) {
			t.Fatalf("a full disk gave %v: want overloaded", err)
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); appendOne() != nil; {
			if time.Now().After(deadline) {
				t.Fatal("with room again the journal still refuses")
			}
			time.Sleep(10 * time.Millisecond) // ext4 gives space back with its next commit
		}
	}
	stop()
	log, stop = start(t, filepath.Join(disk.Dir(), "journal"), o)
	if head := log.Head(grid.Bulk).Seq; head != uint64(taken) {
		t.Errorf("head is %d after %d frames", head, taken)
	}
	stop()
}

func fillDisk(t *testing.T, path string) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	_ = f.Sync()
}

// TestWhatRecoveryShowsIsDurable: a process is killed between its write and its fsync;
// the next one finds the frame, shows it, and the power goes.
func TestWhatRecoveryShowsIsDurable(t *testing.T) {
	disk := gatetest.PowerLossDisk(t)
	dir := filepath.Join(disk.Dir(), "journal")
	log, err := journal.Open(dir, childOptions())
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = log.Run(t.Context()) }()
	first := []grid.Frame{gatetest.JournalFrame(1)}
	if err := log.Append(t.Context(), grid.Bulk, first); err != nil {
		t.Fatal(err)
	}
	disk.Cut() // so that Close cannot cut off the zeros: the file stays as in use
	_ = log.Close()
	disk.Restore()

	late := []grid.Frame{gatetest.JournalFrame(2), gatetest.JournalFrame(3)}
	late[0].Pos.Lane = grid.Bulk
	late[0].Raw = bytes.Repeat([]byte("late"), 100_000)
	if err := journal.WriteUnsynced(segmentFiles(t, dir, grid.Bulk)[0], late); err != nil {
		t.Fatal(err)
	}
	if log, err = journal.Open(dir, childOptions()); err != nil {
		t.Fatal(err)
	}
	shown := log.Head(grid.Bulk)
	if shown.Seq != 3 {
		t.Fatalf("head is %v: want all 3 frames", shown)
	}
	disk.Cut()
	_ = log.Close()
	disk.Restore()
	if log, err = journal.Open(dir, childOptions()); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i, want := range []grid.Frame{first[0], late[0], late[1]} {
		got, err := log.Get(grid.Pos{Lane: grid.Bulk, Epoch: shown.Epoch, Seq: uint64(i + 1)})
		if err != nil || !bytes.Equal(got.Raw, want.Raw) {
			t.Errorf("frame %d was shown and has %d bytes after a power loss, %v", i+1, len(got.Raw), err)
		}
	}
}
