package gateway

import "strings"

// ownFiles is what a gateway has open beside its peers, with room: journal, state, the queue
// for InfluxDB, webhooks, screens.
const ownFiles = 256

// FilesNeeded is how many files are open when each listener has as many peers as it may.
// Beyond the limit of the process nobody is let in, and the journal cannot begin a segment.
func (c *Config) FilesNeeded() int {
	n := ownFiles + len(c.MQTT)
	if c.Broker.Enabled {
		n += c.Broker.MaxClients
	}
	if c.CoAP.TCP != "" { // the peers of UDP and DTLS share one socket
		n += c.CoAP.MaxPeers
	}
	for _, s := range c.Serial {
		n++
		if strings.HasPrefix(s.Listen, "tcp:") {
			n += s.Peers()
		}
	}
	return n
}

// checkFiles says so at the start when the limit of open files is too low.
func (g *Gateway) checkFiles() {
	if most, need := mostFiles(), g.cfg.FilesNeeded(); most > 0 && most < need {
		g.log.Warn("fewer files may be open than peers may connect", "limit", most, "needed", need)
	}
}
