package gatetest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Memory is what it holds of the machine's memory, and the most that it has held, in bytes.
// Where the system does not tell, the test is skipped.
func (p *Program) Memory(t testing.TB) (now, most int64) {
	t.Helper()
	cmd, _ := p.running()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Skip("this system does not tell how much memory a program has: ", err)
	}
	for name, to := range map[string]*int64{"VmRSS:": &now, "VmHWM:": &most} {
		_, after, _ := strings.Cut(string(b), name)
		if _, err := fmt.Sscan(after, to); err != nil {
			t.Fatalf("%s in /proc/%d/status: %v", name, cmd.Process.Pid, err)
		}
		*to <<= 10
	}
	return now, most
}
