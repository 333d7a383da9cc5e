package gateway

import (
	"strings"
	"testing"

	"gridgate/internal/serial"
)

func TestFilesNeededAreThoseOfEveryPeerThatMayConnect(t *testing.T) {
	c := Default()
	if got := c.FilesNeeded(); got != ownFiles+10_000 {
		t.Errorf("the default needs %d", got)
	}
	c.CoAP.Listen, c.CoAP.DTLS.Listen = ":5683", ":5684"
	c.Serial = []SerialConfig{
		{Config: serial.Config{Path: "/dev/ttyS0"}},
		{Config: serial.Config{Listen: "udp://:5000"}},
	}
	if got := c.FilesNeeded(); got != ownFiles+10_000+2 {
		t.Errorf("with ports and datagrams it needs %d", got)
	}
	c.CoAP.TCP, c.CoAP.MaxPeers = ":5683", 300
	c.Serial = append(c.Serial, SerialConfig{Config: serial.Config{Listen: "tcp://:5000"}})
	if got := c.FilesNeeded(); got != ownFiles+10_000+3+300+5000 {
		t.Errorf("with listeners of TCP it needs %d", got)
	}
	c.Broker.Enabled = false
	if got := c.FilesNeeded(); got != ownFiles+3+300+5000 {
		t.Errorf("without a broker it needs %d", got)
	}
}

func TestBrokerTakesNoPayloadThatIsTooLongForTheJournal(t *testing.T) {
	c := Default()
	c.Broker.MaxPayload = 1 << 20
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Broker.MaxPayload = 2 << 20
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "broker.max_payload is 2MiB: want 1KiB to 1MiB") {
		t.Errorf("2 MiB: %v", err)
	}
}
