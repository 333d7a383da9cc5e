package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/profile"
)

// BenchmarkFramesToState is the engine alone: the frames of a full journal, of ten thousand
// doors in turn, to state and to the InfluxDB queue. One in a hundred says open.
// An operation is a frame.
func BenchmarkFramesToState(b *testing.B) {
	const doors = 10_000
	r := newRig(b, func(c *Config) { c.Now = time.Now }) // turns and checkpoints go by it
	var reg grid.Registration
	for i := range doors {
		one := placed(grid.Door, fmt.Sprintf("door-%d", i), benchDoor(i), time.Now())
		one.Devices[0].Profile = "milesight/ws301"
		reg.Points, reg.Devices, reg.Installations = append(reg.Points, one.Points...), append(reg.Devices, one.Devices...), append(reg.Installations, one.Installations...)
	}
	r.put(reg)
	r.close()
	fillJournal(b, r, doors)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := ownCPU()
	b.ResetTimer()
	r.open()
	for r.engine.Stats().Cursors[grid.Bulk] < uint64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	cpu = ownCPU() - cpu
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/1000/float64(b.N), "cpu-µs/frame")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), "allocs/frame")
	b.ReportMetric(float64(r.engine.Stats().LongestBatch.Microseconds())/1000, "longest-turn-ms")
}

// BenchmarkFramesInShadow is BenchmarkFramesToState while a roll-out runs: both versions
// decode each frame and are compared.
func BenchmarkFramesInShadow(b *testing.B) {
	const doors = 10_000
	r := benchRig(b, doors)
	start := profile.RolloutStart{Files: ws301(b, r, "shadow"), Stage: grid.RolloutShadow, By: tester}
	if _, err := r.engine.StartRollout(b.Context(), start); err != nil {
		b.Fatal(err)
	}
	r.close()
	fillJournal(b, r, doors)
	cpu := ownCPU()
	b.ResetTimer()
	r.open()
	for r.engine.Stats().Cursors[grid.Bulk] < uint64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
	b.ReportMetric(float64((ownCPU()-cpu).Nanoseconds())/1000/float64(b.N), "cpu-µs/frame")
	if live := must[profile.Rollout](b)(r.engine.Rollout(b.Context(), benchProfile)).Live; live.Frames == 0 {
		b.Error("nothing was compared")
	}
}

// BenchmarkDiffOfPastFrames compares a candidate on the frames of ten thousand doors, from
// the end of a full journal. An operation is a frame.
func BenchmarkDiffOfPastFrames(b *testing.B) {
	const doors = 10_000
	r := benchRig(b, doors)
	files := ws301(b, r, "diff")
	r.close()
	fillJournal(b, r, doors)
	r.open()
	for r.engine.Stats().Cursors[grid.Bulk] < uint64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.ResetTimer()
	d := must[profile.Diff](b)(r.engine.DiffProfile(b.Context(), profile.DiffRequest{Files: files, Last: min(b.N, profile.MaxLast), Within: 10 * time.Minute}))
	b.StopTimer()
	b.ReportMetric(float64(d.Frames)/b.Elapsed().Seconds(), "frames/s")
	if d.Frames != int64(min(b.N, profile.MaxLast)) {
		b.Errorf("%d frames were compared: %s", d.Frames, d.Cut)
	}
}

const benchProfile = "milesight/ws301"

func benchRig(b *testing.B, doors int) *rig {
	r := newRig(b, func(c *Config) { c.Now = time.Now })
	var reg grid.Registration
	for i := range doors {
		one := placed(grid.Door, fmt.Sprintf("door-%d", i), benchDoor(i), time.Now())
		one.Devices[0].Profile = benchProfile
		reg.Points, reg.Devices, reg.Installations = append(reg.Points, one.Points...), append(reg.Devices, one.Devices...), append(reg.Installations, one.Installations...)
	}
	r.put(reg)
	return r
}

// ws301 are the files of the profile in another version.
func ws301(b *testing.B, r *rig, version string) map[string]string {
	files := must[map[string]string](b)(r.engine.profiles.files().Files(benchProfile))
	p := must[*profile.Profile](b)(r.engine.profiles.Get(benchProfile))
	for _, q := range []string{`"`, ""} {
		files["profile.yaml"] = strings.Replace(files["profile.yaml"], "version: "+q+p.Version+q+"\n", "version: \""+version+"\"\n", 1)
	}
	return files
}

func benchDoor(i int) grid.Identity { return grid.Identity(fmt.Sprintf("eui:24e124ffff%06x", i)) }

// fillJournal appends b.N frames while no engine runs.
func fillJournal(b *testing.B, r *rig, doors int) {
	log := must[*journal.Log](b)(journal.Open(filepath.Join(r.dir, "journal"), journal.Options{Now: r.now, MinFreeBulk: -1, MinFreeSafety: -1, ReserveBytes: -1}))
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = log.Run(ctx) })
	for n := 0; n < b.N; {
		frames := make([]grid.Frame, 0, 1000)
		for ; n < b.N && len(frames) < cap(frames); n++ {
			id, cycle := benchDoor(n%doors), n/doors
			open := byte(0)
			if (n+cycle)%100 == 0 {
				open = 1
			}
			frames = append(frames, grid.Frame{
				Identity: id, Transport: "mqtt", Source: "bench", Address: "gridgate/up/" + string(id) + "/85", Envelope: envelope.Native,
				Received: time.Now().UTC(), Raw: []byte{0x01, 0x75, byte(20 + cycle%80), 0x03, 0x00, open, 0x04, 0x00, 0x00},
			})
		}
		if err := log.Append(ctx, grid.Bulk, frames); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	running.Wait()
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprint("getrusage: ", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
