package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Network is a network namespace of its own, with one cable to ours. A program in it hears
// and says nothing while the cable is out, and nobody is told: a partition.
type Network struct {
	name       string
	here, near string // the cable's end on our side, and its address
	far        string // the address inside
}

// OpenNetwork makes one. Without the right to do so the error has the code forbidden.
func OpenNetwork(ctx context.Context) (*Network, error) {
	// 198.18.0.0/15 is for tests of networks (RFC 2544); 16384 pairs of it.
	k := rand.IntN(1 << 14)
	id := fmt.Sprintf("%04x%04x", os.Getpid()&0xffff, k)
	addr := func(host int) string { n := k<<2 | host; return fmt.Sprintf("198.18.%d.%d", n>>8, n&255) }
	n := &Network{name: "gridsim-" + id, here: "gs" + id, near: addr(1), far: addr(2)}
	if err := ip(ctx, "netns add "+n.name); err != nil {
		return nil, grid.Errorf(grid.Forbidden, "a network namespace of its own: %w", err)
	}
	for _, do := range []string{
		"link add " + n.here + " type veth peer name eth0 netns " + n.name,
		"addr add " + n.near + "/30 dev " + n.here,
		"link set " + n.here + " up",
		"-n " + n.name + " addr add " + n.far + "/30 dev eth0",
		"-n " + n.name + " link set eth0 up",
		"-n " + n.name + " link set lo up",
	} {
		if err := ip(ctx, do); err != nil {
			return nil, grid.Errorf(grid.Forbidden, "a network namespace of its own: %w", errors.Join(err, n.Close()))
		}
	}
	return n, nil
}

func ip(ctx context.Context, args string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Near is our address on the cable, Far that of a program inside.
func (n *Network) Near() string { return n.near }
func (n *Network) Far() string  { return n.far }

// Command makes a command that runs inside.
func (n *Network) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.name, name}, args...)...)
}

// Unplug takes the cable out: at the far end, so that our side still believes in it.
func (n *Network) Unplug(ctx context.Context) error {
	return ip(ctx, "-n "+n.name+" link set eth0 down")
}

// Plug puts it in again.
func (n *Network) Plug(ctx context.Context) error {
	return ip(ctx, "-n "+n.name+" link set eth0 up")
}

// Close takes the network away.
func (n *Network) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := ip(ctx, "link del "+n.here)
	return errors.Join(err, ip(ctx, "netns del "+n.name))
}
