package figures

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine says in one line on what all this was measured.
func machine(b *testing.B) string {
	p50, p99 := fsyncLatency(b)
	load, _, _ := strings.Cut(read("/proc/loadavg"), " ")
	return fmt.Sprintf("Machine: %d cores of %s, %s memory, Linux %s, file system %s, fsync of 4 KiB p50 %.2f ms, p99 %.2f ms; %s; load before: %s; %s.",
		runtime.NumCPU(), after("/proc/cpuinfo", "model name"), memory(), strings.TrimSpace(read("/proc/sys/kernel/osrelease")), fileSystem(b.TempDir()),
		ms(p50), ms(p99), runtime.Version(), load, time.Now().UTC().Format("2006-01-02"))
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return string(b)
}

// after finds "key : value" in a file of /proc.
func after(path, key string) string {
	for line := range strings.Lines(read(path)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memory() string {
	var kb int64
	if _, err := fmt.Sscan(after("/proc/meminfo", "MemTotal"), &kb); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.1f GiB", float64(kb)/(1<<20))
}

// fileSystem is the type of the mount that holds dir.
func fileSystem(dir string) string {
	best, kind := "", "unknown"
	for line := range strings.Lines(read("/proc/mounts")) {
		f := strings.Fields(line)
		if len(f) > 2 && strings.HasPrefix(dir+"/", strings.TrimSuffix(f[1], "/")+"/") && len(f[1]) >= len(best) {
			best, kind = f[1], f[2]
		}
	}
	return kind
}

// fsyncLatency is what all durability here is made of.
func fsyncLatency(b *testing.B) (p50, p99 time.Duration) {
	f, err := os.Create(filepath.Join(b.TempDir(), "fsync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var took []time.Duration
	for range 500 {
		began := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
