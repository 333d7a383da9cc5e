//go:build linux

package serial

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/internal/gb26875"
)

// TestMeasure prints figures instead of asserting them: GRIDGATE_TEST_MEASURE=1.
func TestMeasure(t *testing.T) {
	if os.Getenv("GRIDGATE_TEST_MEASURE") != "1" {
		t.Skip("GRIDGATE_TEST_MEASURE=1 measures")
	}
	t.Run("HangUp", measureHangUp)
	t.Run("Shutdown", measureShutdown)
	t.Run("Ports", measurePorts)
	t.Run("Connections", measureConnections)
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func measureHangUp(t *testing.T) {
	c := plug(t)
	tr, _ := start(t, Config{Path: c.path, Protocol: GBT26875}, &gatetest.Inbox{})
	isUp(t, tr)
	time.Sleep(time.Second)
	before := cpu()
	time.Sleep(10 * time.Second)
	t.Logf("open and idle: %.2f %% of a core", 100*(cpu()-before).Seconds()/10)
	c.pull()
	before = cpu()
	time.Sleep(20 * time.Second)
	t.Logf("hung up, 20 s: %.2f %% of a core", 100*(cpu()-before).Seconds()/20)
	var worst time.Duration
	for range 10 {
		c.plugIn()
		began := time.Now()
		isUp(t, tr)
		worst = max(worst, time.Since(began))
		c.pull()
		gatetest.Eventually(t, "the hang-up", func() bool { return !tr.Status().Up })
		time.Sleep(7 * time.Second) // long enough for the longest pause
	}
	t.Logf("back after its return: at most %s in 10", worst.Round(time.Millisecond))
}

func measureShutdown(t *testing.T) {
	var worst time.Duration
	for range 20 {
		c := plug(t)
		tr, stop := start(t, Config{Path: c.path, Protocol: GBT26875}, &gatetest.Inbox{})
		isUp(t, tr)
		time.Sleep(20 * time.Millisecond)
		began := time.Now()
		stop()
		worst = max(worst, time.Since(began))
	}
	t.Logf("shutdown on an idle port: at most %s in 20", worst.Round(time.Millisecond))
}

// measurePorts: eight ports, on each a device that sends a fire as often as its line can
// at 115200 baud: one of 78 bytes every 7 ms.
func measurePorts(t *testing.T) {
	var in gatetest.Inbox
	var cables []*cable
	for i := range 8 {
		c := plug(t)
		tr, _ := start(t, Config{Name: fmt.Sprint("p", i), Path: c.path, Baud: 115200, Protocol: GBT26875}, &in)
		isUp(t, tr)
		cables = append(cables, c)
	}
	raw := gbFrame(1, string(make([]byte, 48)))
	before, n := cpu(), 0
	tick := time.NewTicker(7 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 10*time.Second; n++ {
		<-tick.C
		for _, c := range cables {
			c.write(raw)
		}
	}
	in.Wait(t, 8*n)
	gatetest.Eventually(t, "all confirmations", func() bool {
		for _, c := range cables {
			c.mu.Lock()
			got := len(c.got)
			c.mu.Unlock()
			if got != n*gb26875.MinSize {
				return false
			}
		}
		return true
	})
	t.Logf("8 ports: %d frames in 10 s, all confirmed, %.1f %% of a core, devices and test in it", 8*n, 100*(cpu()-before).Seconds()/10)
}

// measureConnections: 5000 transmitters that are connected, each with a heartbeat in 30 s.
func measureConnections(t *testing.T) {
	var in gatetest.Inbox
	tr, _ := start(t, Config{Listen: "tcp://127.0.0.1:0", Protocol: GBT26875, MaxPeers: 20_000}, &in)
	isUp(t, tr)
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := memory()
	var conns []net.Conn
	for range 5000 {
		c, err := new(net.Dialer).DialContext(context.Background(), "tcp", tr.Status().Port)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	raw := gbFrame(1, "")
	for _, c := range conns {
		_, _ = c.Write(raw)
	}
	in.Wait(t, 5000)
	t.Logf("5000 connections: %.1f KB each, our and their end together", float64(memory()-before)/5000/1024)
	used, n := cpu(), 0
	tick := time.NewTicker(6 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 10*time.Second; n++ {
		<-tick.C
		_, _ = conns[n%5000].Write(raw)
	}
	t.Logf("a heartbeat each in 30 s: %.1f %% of a core, devices and test in it", 100*(cpu()-used).Seconds()/10)
}
