package coap

import (
	"net"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// Config of the CoAP listeners. Zero fields take the default.
type Config struct {
	Name string // grid.Frame.Source; default "coap"
	UDP  string // host:port; "" is off
	TCP  string // host:port; "" is off
	DTLS DTLS

	LwM2M LwM2M

	MaxPayload int           // bytes of one payload, block-wise too; a larger one is answered 4.13; default 64 KiB
	MaxPeers   int           // of each listener; past it the one longest idle goes; default 10,000
	Idle       time.Duration // a peer without DTLS that is silent for so long is forgotten; default 10 min
	Rate       int           // requests a second that one peer may send for long; default 20
	Burst      int           // requests that it may send at once; default 64

	PeerWindow    int           // frames of one peer that wait; default 64
	Window        int           // frames of all peers that wait; default 8192
	WindowBytes   int           // their payload; default 32 MiB
	Unacked       int           // NON frames that wait while the journal fails; default 8192
	GiveUp        time.Duration // after this long without a durable journal the answer is 5.03; default 30 s
	RetryAfter    time.Duration // Max-Age of 5.03 and 4.29, whole seconds; default 30 s
	Wake          time.Duration // a downlink waits so long for a device that is just waking up; default 3 s
	BlockTimeout  time.Duration // longest pause between two blocks of an upload; default 60 s
	UploadBytes   int           // of unfinished uploads of all peers; default 16 MiB
	UploadsOfPeer int           // unfinished uploads of one peer; default 4

	Credentials Credentials // of the registry; nil: the file of keys alone

	Identify intake.Identify  // must be set
	Now      func() time.Time // of the wire: repeats, blocks, idle peers; default time.Now
	City     func() time.Time // when a frame came, and of registrations; default Now
}

// DTLS is the secured listener.
type DTLS struct {
	Listen   string        // host:port; "" is off
	KeysFile string        // see docs/coap.md; "" is none
	Cert     string        // PEM; the server's certificate; "" : pre-shared keys alone
	Key      string        // PEM
	ClientCA string        // PEM; who signs the certificates of devices; "" : no certificates are taken
	Idle     time.Duration // a session that is silent for so long is forgotten: longer than the longest reporting interval; default 26 h

	ReloadEvery      time.Duration // how often the files are looked at; default 5 s
	HandshakeTimeout time.Duration // default 30 s: NB-IoT takes seconds for a round trip
	MaxHandshakes    int           // at once; past it the oldest is given up; default 512
}

func (c Config) withDefaults() Config {
	number := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	duration := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	if c.Name == "" {
		c.Name = "coap"
	}
	number(&c.MaxPayload, 64<<10)
	number(&c.MaxPeers, 10_000)
	duration(&c.Idle, 10*time.Minute)
	number(&c.Rate, 20)
	number(&c.Burst, 64)
	number(&c.PeerWindow, 64)
	number(&c.Window, 8192)
	number(&c.WindowBytes, 32<<20)
	number(&c.Unacked, 8192)
	duration(&c.GiveUp, 30*time.Second)
	duration(&c.RetryAfter, 30*time.Second)
	duration(&c.Wake, 3*time.Second)
	duration(&c.BlockTimeout, time.Minute)
	number(&c.UploadBytes, 16<<20)
	number(&c.UploadsOfPeer, 4)
	duration(&c.DTLS.Idle, 26*time.Hour)
	duration(&c.DTLS.ReloadEvery, 5*time.Second)
	duration(&c.DTLS.HandshakeTimeout, 30*time.Second)
	number(&c.DTLS.MaxHandshakes, 512)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.City == nil {
		c.City = c.Now
	}
	return c
}

func (c Config) check() error {
	for key, addr := range map[string]string{"listen": c.UDP, "tcp": c.TCP, "dtls.listen": c.DTLS.Listen} {
		if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
			return grid.Errorf(grid.Invalid, "coap %s: %s is %q: want host:port", c.Name, key, addr)
		}
	}
	d := c.DTLS
	switch {
	case d.Listen == "":
		return nil
	case (d.Cert == "") != (d.Key == ""):
		return grid.Errorf(grid.Invalid, "coap %s: dtls: want cert and key together", c.Name)
	case d.ClientCA != "" && d.Cert == "":
		return grid.Errorf(grid.Invalid, "coap %s: dtls.client_ca is set: want cert and key of the gateway too", c.Name)
	case d.KeysFile == "" && d.ClientCA == "" && c.Credentials == nil:
		return grid.Errorf(grid.Invalid, "coap %s: dtls: want keys_file or client_ca, or nobody can connect", c.Name)
	}
	return nil
}
