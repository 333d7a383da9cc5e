package profile_test

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

// workersOf lists the codec workers that are children of this process.
func workersOf(t testing.TB) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		if cmd, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && strings.Contains(string(cmd), "codec-worker") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// newWorkers gives the workers that f starts.
func newWorkers(t testing.TB, f func()) []int {
	t.Helper()
	before := map[int]bool{}
	for _, pid := range workersOf(t) {
		before[pid] = true
	}
	f()
	var pids []int
	for _, pid := range workersOf(t) {
		if !before[pid] {
			pids = append(pids, pid)
		}
	}
	return pids
}

const steady = "function decodeUplink(i) { return {data: {x: i.bytes[0]}}; }"

// wantTemperature decodes one byte and wants it back.
func wantTemperature(t *testing.T, p *profile.Profile) {
	t.Helper()
	d, err := decode(t, p, 1, "2a")
	if err != nil {
		t.Fatal(err)
	}
	if x := value(t, d, grid.Temperature); x != 42 {
		t.Errorf("got %v: want 42", x)
	}
}

func TestWorkerKilledBetweenFramesIsNoErrorOfTheNext(t *testing.T) {
	var p *profile.Profile
	pids := newWorkers(t, func() { p = javascript(t, steady) })
	if len(pids) != 1 {
		t.Fatalf("got %d workers: want 1", len(pids))
	}
	wantTemperature(t, p)
	for range 5 {
		pids = workersOf(t)
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		wantTemperature(t, p)
	}
}

func TestWorkersKilledAllTheTimeSpoilNoFrame(t *testing.T) {
	p := javascript(t, steady)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	kills := 0
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				// Each frame has two tries: at most one of them may be spoilt.
				if pids := workersOf(t); len(pids) > 0 && syscall.Kill(pids[0], syscall.SIGKILL) == nil {
					kills++
				}
			}
		}
	})
	end := time.Now().Add(time.Second)
	frames := 0
	for ; time.Now().Before(end) || frames < 100; frames++ {
		wantTemperature(t, p)
	}
	close(stop)
	wg.Wait()
	if kills == 0 {
		t.Error("no worker was killed")
	}
	t.Logf("%d frames, %d kills", frames, kills)
}

func TestWorkerThatIsStoppedIsReplaced(t *testing.T) {
	var p *profile.Profile
	pids := newWorkers(t, func() { p = javascript(t, steady) })
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	wantTemperature(t, p)
	for _, pid := range workersOf(t) {
		for _, old := range pids {
			if pid == old {
				t.Errorf("worker %d is still there", pid)
			}
		}
	}
}

func TestCloseEndsTheWorkersAndWaitsForThem(t *testing.T) {
	var p *profile.Profile
	pids := newWorkers(t, func() {
		p = javascript(t, steady)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					if _, err := p.DecodePayload(1, []byte{1}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
	if len(pids) == 0 {
		t.Fatal("there is no worker")
	}
	// One that does not hear is ended by force.
	if err := syscall.Kill(pids[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.Close()
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("worker %d is still there: %v", pid, err)
		}
	}
}

func TestWorkerWithoutWorkEndsAndComesBack(t *testing.T) {
	var p *profile.Profile
	pids := newWorkers(t, func() { p = javascript(t, steady) })
	if len(pids) != 1 {
		t.Fatalf("got %d workers: want 1", len(pids))
	}
	p.IdleAfter(10 * time.Millisecond)
	for end := time.Now().Add(20 * time.Second); syscall.Kill(pids[0], 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the worker is still there")
		}
	}
	wantTemperature(t, p)
}

func TestWorkerHasNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("GRIDGATE_TOKEN", "secret")
	var p *profile.Profile
	for _, pid := range newWorkers(t, func() { p = javascript(t, steady) }) {
		env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(env), "secret") {
			t.Errorf("got %q", env)
		}
		limits, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(limits)) {
			if strings.HasPrefix(line, "Max data size") && strings.Contains(line, "unlimited") {
				t.Errorf("got %q: want a limit", line)
			}
		}
	}
	wantTemperature(t, p)
}
