package engine

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"gridgate/internal/profile"
)

const (
	childEnv     = "GRIDGATE_ENGINE_CHILD"     // the directory of a node: this process is one
	deliveredEnv = "GRIDGATE_ENGINE_DELIVERED" // see deliveredFile
	killsEnv     = "GRIDGATE_ENGINE_KILLS"     // how many kills; without it as many as fit into some seconds
	poisonEnv    = "GRIDGATE_ENGINE_POISON"    // set: certain frames end the process
	seedEnv      = "GRIDGATE_ENGINE_SEED"      // of the workload and the kills
)

func TestMain(m *testing.M) {
	profile.RunWorker()
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child is a node in a process of its own: orders on standard input, replies on standard
// output. It stops in good order at the end of its input.
func child(dir string) error {
	var opts nodeOptions
	if os.Getenv(poisonEnv) != "" {
		opts.config = func(c *Config) { c.Profiles = poison{c.Profiles.(*profile.Set), func() { os.Exit(3) }} }
	}
	// A power loss before anything was synced takes the folder too.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	n, err := startNode(dir, opts)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for in := json.NewDecoder(bufio.NewReader(os.Stdin)); ; {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return n.close()
		} else if err != nil {
			return err
		}
		r := n.do(&o)
		if r.Err != "" {
			return fmt.Errorf("order %d, %s: %s", o.N, o.Do, r.Err)
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// nodeProcess is a running child.
type nodeProcess struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	out *json.Decoder
}

func spawn(t testing.TB, dir, delivered string) *nodeProcess {
	t.Helper()
	p := &nodeProcess{t: t, cmd: exec.Command(must[string](t)(os.Executable()))}
	p.cmd.Env = append(os.Environ(), childEnv+"="+dir, deliveredEnv+"="+delivered)
	p.cmd.Stderr = os.Stderr
	p.in = must[io.WriteCloser](t)(p.cmd.StdinPipe())
	out := must[io.ReadCloser](t)(p.cmd.StdoutPipe())
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.enc, p.out = json.NewEncoder(p.in), json.NewDecoder(bufio.NewReader(out))
	return p
}

// do gives an order and waits for its reply; false: the process is dead.
func (p *nodeProcess) do(o *order) (reply, bool) {
	var r reply
	if err := p.enc.Encode(o); err != nil {
		return r, false
	}
	if err := p.out.Decode(&r); err != nil {
		return r, false
	}
	return r, true
}

// wait reaps the process; one that did not die by our hand fails the test.
func (p *nodeProcess) wait() {
	p.t.Helper()
	p.in.Close()
	_ = p.cmd.Wait()
	if code := p.cmd.ProcessState.ExitCode(); code > 0 {
		p.t.Fatalf("node ended with %d", code)
	}
}

// killer says when a node dies, and what is done to its disk while it is dead.
type killer struct {
	rng   *rand.Rand
	more  func() bool          // whether there is to be another death
	kill  func(p *nodeProcess) // ends the process
	dead  func()               // between two lives
	kills int
}

// feed runs the orders of a workload on a directory, starting the node again whenever it
// has died and giving an order again until it is answered.
func feed(t testing.TB, dir, delivered string, w *workload, k *killer) map[string]string {
	t.Helper()
	var live map[string]string
	p := spawn(t, dir, delivered)
	var timer *time.Timer
	aim := func() {
		timer = nil
		if k == nil || !k.more() {
			return
		}
		// A life is some orders long, or not even as long as a start.
		after := time.Duration(k.rng.Int64N(int64(60*time.Millisecond))) + 1
		if k.rng.IntN(4) > 0 {
			after += 60 * time.Millisecond
		}
		victim := p
		timer = time.AfterFunc(after, func() { k.kill(victim) })
	}
	aim()
	for i := 0; i < len(w.orders); {
		o := &w.orders[i]
		r, ok := p.do(o)
		if ok {
			if r.N != o.N {
				t.Fatalf("reply is to order %d: want %d", r.N, o.N)
			}
			if r.Live != nil {
				live = r.Live
			}
			i++
			continue
		}
		o.Again = true
		p.wait()
		if k == nil {
			t.Fatal("node died by itself")
		}
		if timer != nil {
			timer.Stop()
		}
		k.kills++
		if k.dead != nil {
			k.dead()
		}
		p = spawn(t, dir, delivered)
		aim()
	}
	if timer != nil {
		timer.Stop() // or it fires while the last words are said: that is a death like another
	}
	p.wait()
	return live
}

func seedOf(t testing.TB) uint64 {
	seed := uint64(1) // the moments of death differ all the same
	if s := os.Getenv(seedEnv); s != "" {
		seed = must[uint64](t)(strconv.ParseUint(s, 10, 64))
	}
	t.Logf("%s=%d", seedEnv, seed)
	return seed
}

// leastKills are needed to show anything, however busy the machine is.
const leastKills = 10

// enough says whether there were kills enough: a number, or as many as fit into a time.
func enough(t testing.TB, k *killer, d time.Duration) func() bool {
	begin := time.Now()
	if s := os.Getenv(killsEnv); s != "" {
		n := must[int](t)(strconv.Atoi(s))
		return func() bool { return k.kills < n }
	}
	return func() bool { return k.kills < leastKills || time.Since(begin) < d }
}

// TestKilledNodeComesToTheSameOutcome kills a node at any instruction, again and again,
// and compares all that it led to with a run that was left alone.
func TestKilledNodeComesToTheSameOutcome(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some twenty seconds")
	}
	seed := seedOf(t)
	kills := 0
	k := &killer{rng: rand.New(rand.NewPCG(seed, 2)), kill: func(p *nodeProcess) { _ = p.cmd.Process.Kill() }}
	more := enough(t, k, 12*time.Second)
	for round := uint64(0); round == 0 || more(); round++ {
		w := newWorkload(seed+round, 60)
		base := t.TempDir()
		quiet, dir := filepath.Join(base, "quiet"), filepath.Join(base, "node")
		for _, d := range []string{quiet, dir} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		want := undisturbed(t, quiet, w)
		k.more = more
		live := feed(t, dir, dir+".delivered", w, k)
		got := outcomeOf(t, dir, dir+".delivered", live)
		compare(t, want, got, w.class)
		kills = k.kills
		t.Logf("seed %d: %d orders, %d facts, %d points, ledger %v, %d kills so far", seed+round, len(w.orders), len(want.facts), len(want.lines), got.ledger, kills)
		if t.Failed() {
			break
		}
	}
	if kills < leastKills {
		t.Errorf("only %d kills: this shows nothing", kills)
	}
}

// undisturbed is the outcome of a workload on a node that is left alone.
func undisturbed(t testing.TB, dir string, w *workload) outcome {
	t.Helper()
	live := feed(t, dir, dir+".delivered", w, nil)
	return outcomeOf(t, dir, dir+".delivered", live)
}
