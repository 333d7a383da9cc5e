package main

import "net"

// notify tells systemd how the service stands (READY=1, STOPPING=1), if it is one: systemd
// gives a socket then. It is a courtesy: whoever does not listen has lost nothing.
func (a *app) notify(state string) {
	socket := a.env("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if socket[0] == '@' { // in the abstract name space
		socket = "\x00" + socket[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write([]byte(state))
}
