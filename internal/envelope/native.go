package envelope

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"gridgate/internal/grid"
)

// The native forms: MQTT topic gridgate/up/<identity>[/<port>], CoAP path
// /up/<identity>[?port=N]. A slash within an identity is written %2F.
const (
	nativeTopic = "gridgate/up/"
	nativePath  = "/up/"
)

func identifyNative(address string) (grid.Identity, string) {
	name, _, note := splitNative(address)
	if note != "" {
		return "", note
	}
	return parseIdentity(name)
}

// splitNative takes a native address apart; port is -1 where none is said.
func splitNative(address string) (name string, port int, note string) {
	port = -1
	rest, isPath := strings.CutPrefix(address, nativePath)
	if isPath {
		var query string
		rest, query, _ = strings.Cut(rest, "?")
		if query != "" {
			values, err := url.ParseQuery(query)
			if err != nil {
				return "", -1, fmt.Sprintf("path %q: its query cannot be read", truncate(address))
			}
			if values.Has("port") {
				if port, note = parsePort(values.Get("port")); note != "" {
					return "", -1, note
				}
			}
		}
	} else {
		rest = strings.TrimPrefix(rest, nativeTopic)
	}
	name, tail, hasTail := strings.Cut(rest, "/")
	if hasTail {
		if port, note = parsePort(tail); note != "" {
			return "", -1, note
		}
	}
	if strings.Contains(name, "%") {
		plain, err := url.PathUnescape(name)
		if err != nil {
			return "", -1, fmt.Sprintf("topic %q: want %%2F for a slash within the identity", truncate(address))
		}
		name = plain
	}
	return name, port, ""
}

func parsePort(s string) (int, string) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return -1, fmt.Sprintf("port is %q: want 0 to 65535", truncate(s))
	}
	return int(n), ""
}

func openNative(f *grid.Frame) error {
	_, port, note := splitNative(f.Address)
	if note != "" {
		return fmt.Errorf("%s", note)
	}
	f.Port, f.Payload = port, f.Raw
	return nil
}
