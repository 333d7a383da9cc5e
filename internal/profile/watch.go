package profile

import (
	"errors"
	"os"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/dop251/goja"
)

// The limits of one run of a codec, its global code included.
const (
	runTime   = 10 * time.Millisecond // of the processor, not of the clock: a busy machine is no fault of the codec
	runMemory = 16 << 20              // allocated, also where it is free again
	maxCalls  = 1000                  // functions that call functions
)

// The limits of compiling a source, once in the life of a worker.
const (
	loadTime   = time.Second
	loadMemory = 512 << 20
)

// watchTick is how often a run is looked at while it lasts.
const watchTick = 2 * time.Millisecond

// grace is how long a run may go on after it was stopped. The engine notices only between
// two steps of JavaScript: within one, as in some regular expressions, the process ends.
const grace = 10 * time.Millisecond

var (
	errTime   = errors.New("ran longer than 10 ms")
	errMemory = errors.New("used more than 16 MiB")
)

// watch stops what takes more than its share. One run at a time.
type watch struct {
	mu      sync.Mutex
	timer   *time.Timer
	armed   bool
	vm      *goja.Runtime // of the run under way; nil: none
	limits  limits
	cpu     time.Duration // when it was first looked at; 0: it was not yet
	memory  uint64        // when it began
	over    error         // why it was stopped
	stopped time.Duration // when, on the clock of cpu
	sample  []metrics.Sample
}

type limits struct {
	cpu    time.Duration
	memory uint64
}

func newWatch() *watch {
	w := &watch{sample: []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}}
	w.timer = time.AfterFunc(time.Hour, w.look)
	return w
}

func (w *watch) allocated() uint64 {
	metrics.Read(w.sample)
	return w.sample[0].Value.Uint64()
}

// begin starts to watch a run in vm.
func (w *watch) begin(vm *goja.Runtime, l limits) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.vm, w.limits, w.over = vm, l, nil
	// The clock of the processor is a system call: most runs are over before it is needed.
	w.cpu, w.memory = 0, w.allocated()
	if !w.armed {
		w.armed = true
		w.timer.Reset(watchTick)
	}
}

// end ends the watch; its error says that the run took more than its share.
func (w *watch) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.vm = nil
	if w.over == nil {
		w.over = w.exceeded(w.cpu)
	}
	return w.over
}

// exceeded judges the run by the clock of the processor and by what is allocated.
func (w *watch) exceeded(cpu time.Duration) error {
	switch {
	case cpu-w.cpu > w.limits.cpu:
		return errTime
	case w.allocated()-w.memory > w.limits.memory:
		return errMemory
	}
	return nil
}

// look runs on the timer. The timer goes on by itself while there are runs, so that a
// short run pays for no timer of its own.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.vm == nil {
		w.armed = false
		return
	}
	w.timer.Reset(watchTick)
	cpu := cpuTime()
	if w.cpu == 0 {
		w.cpu = cpu
	}
	if w.over == nil {
		if w.over = w.exceeded(cpu); w.over != nil {
			w.stopped = cpu
			w.vm.Interrupt(w.over)
		}
		return
	}
	if cpu-w.stopped > grace {
		if errors.Is(w.over, errMemory) {
			os.Exit(exitMemory)
		}
		os.Exit(exitTime)
	}
}
