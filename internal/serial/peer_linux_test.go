package serial

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
)

// findPeer skips the test when a program is not installed, unless peers are required.
func findPeer(t testing.TB, name string) string {
	t.Helper()
	return gatetest.FindPeer(t, name, "", false)
}

// nullModem is two ports that socat joins.
func nullModem(t testing.TB) (a, b string, pull func()) {
	t.Helper()
	socat := findPeer(t, "socat")
	dir := t.TempDir()
	a, b = filepath.Join(dir, "a"), filepath.Join(dir, "b")
	cmd := exec.Command(socat, "pty,raw,echo=0,link="+a, "pty,raw,echo=0,link="+b)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pull = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.Remove(a)
		_ = os.Remove(b)
	}
	t.Cleanup(pull)
	gatetest.Eventually(t, "socat's ports", func() bool {
		_, err1 := os.Stat(a)
		_, err2 := os.Stat(b)
		return err1 == nil && err2 == nil
	})
	return a, b, pull
}

// pymodbus runs a slave that was not written here, and returns how to tell it things.
func pymodbus(t testing.TB, port string, address int) (tell func(format string, args ...any), ask func(question string) string, kill func()) {
	t.Helper()
	python := "" // the system's, which has the packages, before any other
	for _, bin := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(bin, "-c", "import pymodbus.server, serial, serial_asyncio").Run() == nil {
			python = bin
			break
		}
	}
	if python == "" {
		findPeer(t, "pymodbus") // says that it is missing
	}
	cmd := exec.Command(python, "testdata/slave.py", port, fmt.Sprint(address))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	lines := bufio.NewReader(out)
	heard := func() string {
		t.Helper()
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("pymodbus said %q, %v", line, err)
		}
		return strings.TrimSpace(line)
	}
	if line := heard(); line != "ready" {
		t.Fatalf("pymodbus said %q", line)
	}
	tell = func(format string, args ...any) { fmt.Fprintf(in, format+"\n", args...) }
	return tell, func(question string) string { tell("%s", question); return heard() }, kill
}

func TestSlaveOfPymodbusIsPolledOverAPort(t *testing.T) {
	near, far, _ := nullModem(t)
	tell, _, kill := pymodbus(t, far, 17)
	var in gatetest.Inbox
	tr, _ := start(t, Config{Name: "riser", Path: near, Baud: 19200, Protocol: ModbusRTU, Heartbeat: time.Hour, Slaves: []Slave{
		{Address: 17, Polls: []Poll{
			{Function: 2, Start: 0, Count: 4, Every: 100 * time.Millisecond},
			{Function: 3, Start: 3, Count: 2, Every: 100 * time.Millisecond},
			{Function: 3, Start: 900, Count: 1, Every: time.Second}, // there is no such register
		}},
		{Address: 18, Polls: []Poll{{Function: 3, Start: 3, Count: 1, Every: 100 * time.Millisecond}}}, // there is no such slave
	}}, &in)
	seen := func(what, suffix string) {
		t.Helper()
		gatetest.Eventually(t, what, func() bool {
			for _, f := range in.Frames() {
				if f.Identity != "modbus:riser/17" {
					t.Fatalf("a frame of %s", f.Identity)
				}
				if strings.HasSuffix(string(f.Raw[:len(f.Raw)-2]), hexed(suffix)) {
					return true
				}
			}
			return false
		})
	}
	seen("quiet inputs", "11 02 01 00")
	seen("quiet registers", "11 03 04 0000 0000")
	seen("an exception", "11 83 02")
	tell("input 2 1")
	seen("the input", "11 02 01 04")
	tell("register 4 513")
	seen("the register", "11 03 04 0000 0201")
	kill()
	gatetest.Eventually(t, "the slave to be silent", func() bool { return !tr.Status().Slaves[0].Up })
	if s := tr.Status(); !s.Up || s.Slaves[1].Up || s.Slaves[1].Answered > 0 {
		t.Errorf("status %+v", s)
	}
}

func TestPortOfSocatThatGoesIsHungUp(t *testing.T) {
	near, _, pull := nullModem(t)
	tr, _ := start(t, Config{Path: near, Protocol: ModbusRTU, Slaves: []Slave{one(1)}}, &gatetest.Inbox{})
	isUp(t, tr)
	pull()
	gatetest.Eventually(t, "the hang-up", func() bool { return !tr.Status().Up && strings.Contains(tr.Status().LastError, near) })
}

func TestRefusalNamesTheProgramThatHasThePort(t *testing.T) {
	flock := findPeer(t, "flock")
	c := plug(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, flock, "--exclusive", c.path, "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("process %d (flock)", cmd.Process.Pid)
	cfg := Config{Name: "a", Path: c.path, Protocol: Lines}.withDefaults()
	gatetest.Eventually(t, "a refusal that names "+want, func() bool {
		p, _, err := cfg.open(ctx)
		if err == nil {
			_ = p.Close()
		}
		return err != nil && strings.Contains(err.Error(), want)
	})
	_ = in.Close()
	_ = cmd.Wait()
	gatetest.Eventually(t, "the port to be free", func() bool {
		p, _, err := cfg.open(ctx)
		if err == nil {
			_ = p.Close()
		}
		return err == nil
	})
}
