package envelope

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// The native forms: MQTT topic gridgate/up/<identity>[/<port>], CoAP path
// /up/<identity>[?port=N&ct=N&path=/3/0/9]: ct is the content format of the payload, path
// the LwM2M resource it is the value of, event what the LwM2M server says of the device
// itself: register, update, deregister, or expired with the lifetime in seconds. A slash within an identity is written %2F. On
// gridgate/status/<identity> a device says "online", and its will "offline".
const (
	nativeTopic  = "gridgate/up/"
	nativeStatus = "gridgate/status/"
	nativePath   = "/up/"
)

func identifyNative(address string) (grid.Identity, string) {
	if name, isStatus := strings.CutPrefix(address, nativeStatus); isStatus {
		plain, err := url.PathUnescape(name)
		if err != nil || strings.Contains(name, "/") {
			return "", fmt.Sprintf("topic %q: want gridgate/status/<identity>, and %%2F for a slash within the identity", truncate(address))
		}
		return parseIdentity(plain)
	}
	said, note := splitNative(address)
	if note != "" {
		return "", note
	}
	return parseIdentity(said.name)
}

// nativeAddress is what a native address says.
type nativeAddress struct {
	name      string
	port      int // -1: not said
	format    uint16
	hasFormat bool
	path      string
	event     string
	lifetime  time.Duration
}

// query takes in the query of a CoAP path.
func (a *nativeAddress) query(values url.Values) (note string) {
	if values.Has("port") {
		if a.port, note = parsePort(values.Get("port")); note != "" {
			return note
		}
	}
	if ct := values.Get("ct"); values.Has("ct") {
		n, err := strconv.ParseUint(ct, 10, 16)
		if err != nil {
			return fmt.Sprintf("content format (ct) is %q: want 0 to 65535", truncate(ct))
		}
		a.format, a.hasFormat = uint16(n), true
	}
	a.path = values.Get("path")
	switch a.event = values.Get("event"); a.event {
	case "", "register", "update", "deregister":
	case "expired":
		n, err := strconv.ParseUint(values.Get("lifetime"), 10, 31)
		if err != nil || n == 0 {
			return fmt.Sprintf("lifetime is %q: want seconds", truncate(values.Get("lifetime")))
		}
		a.lifetime = time.Duration(n) * time.Second
	default:
		return fmt.Sprintf("event is %q: want register, update, deregister or expired", truncate(a.event))
	}
	return ""
}

// splitNative takes a native address apart.
func splitNative(address string) (said nativeAddress, note string) {
	said.port = -1
	unread := nativeAddress{port: -1}
	rest, isPath := strings.CutPrefix(address, nativePath)
	if isPath {
		var query string
		rest, query, _ = strings.Cut(rest, "?")
		if query != "" {
			values, err := url.ParseQuery(query)
			if err != nil {
				return unread, fmt.Sprintf("path %q: its query cannot be read", truncate(address))
			}
			if note = said.query(values); note != "" {
				return unread, note
			}
		}
	} else {
		rest = strings.TrimPrefix(rest, nativeTopic)
	}
	name, tail, hasTail := strings.Cut(rest, "/")
	if hasTail {
		if said.port, note = parsePort(tail); note != "" {
			return unread, note
		}
	}
	if strings.Contains(name, "%") {
		plain, err := url.PathUnescape(name)
		if err != nil {
			return unread, fmt.Sprintf("topic %q: want %%2F for a slash within the identity", truncate(address))
		}
		name = plain
	}
	said.name = name
	return said, ""
}

func parsePort(s string) (int, string) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return -1, fmt.Sprintf("port is %q: want 0 to 65535", truncate(s))
	}
	return int(n), ""
}

func openNative(f *grid.Frame) error {
	if strings.HasPrefix(f.Address, nativeStatus) {
		f.Kind = grid.Status
		switch said := strings.ToLower(string(f.Raw[:min(len(f.Raw), 16)])); said {
		case "", "online": // retained messages are ended by an empty one
			f.NotHeard = said == ""
		case "offline":
			f.NotHeard, f.Gone = true, true
		default:
			return fmt.Errorf("status is %q: want online or offline", truncate(said))
		}
		return nil
	}
	said, note := splitNative(f.Address)
	if note != "" {
		return fmt.Errorf("%s", note)
	}
	f.Port, f.Payload = said.port, f.Raw
	f.Format, f.HasFormat, f.Path = said.format, said.hasFormat, said.path
	if said.event != "" {
		f.Kind, f.Payload = grid.Status, nil
		f.Lapsed = said.lifetime
		f.NotHeard, f.Gone = said.lifetime > 0, said.lifetime > 0
	}
	return nil
}
