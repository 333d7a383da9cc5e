package gateway

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const nonBlock = unix.O_NONBLOCK | unix.O_NOCTTY

// clockState asks the kernel whether a time service keeps the clock, and how far it may be off.
func clockState() (synced bool, off time.Duration, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil { // a sandbox may forbid to ask
		return false, 0, false
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, time.Duration(t.Maxerror) * time.Microsecond, true
}

// portHolder names the process that has a port, as far as this user may see it.
func portHolder(network, addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	n, err := strconv.Atoi(port)
	if err != nil || n == 0 {
		return ""
	}
	for _, table := range []string{"/proc/net/" + network, "/proc/net/" + network + "6"} {
		for _, inode := range socketsOn(table, network, n) {
			if by := socketOwner(inode); by != "" {
				return by
			}
		}
	}
	return ""
}

// socketsOn finds the sockets that listen on a port in a table of the kernel.
func socketsOn(table, network string, port int) (inodes []string) {
	file, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		col := strings.Fields(lines.Text())
		if len(col) < 10 || network == "tcp" && col[3] != "0A" { // listening
			continue
		}
		_, local, _ := strings.Cut(col[1], ":")
		b, err := hex.DecodeString(local)
		if err == nil && len(b) == 2 && int(b[0])<<8|int(b[1]) == port {
			inodes = append(inodes, col[9])
		}
	}
	return inodes
}

// socketOwner finds whose a socket is.
func socketOwner(inode string) string {
	want := "socket:[" + inode + "]"
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // those of other users are not shown
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == want {
			pid := strings.Split(l, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf("process %s (%s)", pid, strings.TrimSpace(string(name)))
		}
	}
	return ""
}
