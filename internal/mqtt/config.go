package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/intake"
)

// Config of a connection to a broker. Zero fields take the default.
type Config struct {
	Name     string `yaml:"name"`      // grid.Frame.Source; default "mqtt"
	URL      string `yaml:"url"`       // mqtt://host:1883 or mqtts://host:8883
	ClientID string `yaml:"client_id"` // must stay the same over restarts, and be of this gateway alone; default gridgate-<name>
	Username string `yaml:"username"`
	Password string `yaml:"password"`
	TLS      TLS    `yaml:"tls"`

	// Topics are the filters to subscribe to, at QoS 1; default DefaultTopics. A shared
	// subscription is written $share/<group>/<filter>.
	Topics []string `yaml:"topics"`

	KeepAlive      time.Duration `yaml:"keep_alive"`      // whole seconds; default 30s
	ConnectTimeout time.Duration `yaml:"connect_timeout"` // for each step to a connection; default 10s
	MaxBackoff     time.Duration `yaml:"max_backoff"`     // longest pause between two attempts; default 4s
	CanaryEvery    time.Duration `yaml:"canary_every"`    // a message to ourselves; default 2s
	DeafAfter      time.Duration `yaml:"deaf_after"`      // hearing nothing this long breaks the connection; default 6s

	// SkipQueueCheck leaves the broker's queue unmeasured and unwatched: nothing is subscribed
	// or published under $. Probe is how many messages measure it; default 1500.
	SkipQueueCheck bool `yaml:"skip_queue_check"`
	Probe          int  `yaml:"probe"`

	MaxPayload  int           `yaml:"max_payload"`  // bytes; larger ones end in quarantine; default 256 KiB
	Window      int           `yaml:"window"`       // unacknowledged frames; more than the broker sends at a time; default 4096
	WindowBytes int           `yaml:"window_bytes"` // their payload; default 32 MiB
	Unacked     int           `yaml:"unacked"`      // QoS 0 frames that wait; default 8192
	GiveUp      time.Duration `yaml:"give_up"`      // after this long without a durable journal the connection is closed; default 30s

	Identify intake.Identify  `yaml:"-"` // must be set
	Remember intake.Remember  `yaml:"-"` // may be nil
	Downlink intake.Downlink  `yaml:"-"` // nil: takes no downlinks
	Now      func() time.Time `yaml:"-"` // default time.Now
}

// TLS names the files of a mqtts connection; they are read at each connection, so that
// renewed certificates need no restart.
type TLS struct {
	CA         string `yaml:"ca"`          // PEM; default the system's
	Cert       string `yaml:"cert"`        // PEM; a client certificate
	Key        string `yaml:"key"`         // PEM
	ServerName string `yaml:"server_name"` // default the URL's host
}

// DefaultTopics are the uplinks of native devices, ChirpStack and Zigbee2MQTT.
func DefaultTopics() []string {
	return []string{"gridgate/up/#", "gridgate/status/+", "application/+/device/+/event/+", "zigbee2mqtt/+", "zigbee2mqtt/+/availability"}
}

func (c Config) withDefaults() Config {
	text := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
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
	text(&c.Name, "mqtt")
	text(&c.ClientID, "gridgate-"+c.Name)
	if c.Topics == nil {
		c.Topics = DefaultTopics()
	}
	duration(&c.KeepAlive, 30*time.Second)
	duration(&c.ConnectTimeout, 10*time.Second)
	// Together these keep the deafness after a broker's loss of memory, and the time after its
	// return, under ten seconds.
	duration(&c.MaxBackoff, 4*time.Second)
	duration(&c.CanaryEvery, 2*time.Second)
	duration(&c.DeafAfter, 6*time.Second)
	duration(&c.GiveUp, 30*time.Second)
	number(&c.MaxPayload, 256<<10)
	number(&c.Window, 4096)
	number(&c.WindowBytes, 32<<20)
	number(&c.Unacked, 8192)
	number(&c.Probe, 1500)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// address reads the URL.
func (c Config) address() (host string, secure bool, err error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "", false, grid.Errorf(grid.Invalid, "mqtt %s: url: %w", c.Name, err)
	}
	port := "1883"
	switch u.Scheme {
	case "mqtt", "tcp":
	case "mqtts", "ssl", "tls":
		secure, port = true, "8883"
	default:
		return "", false, grid.Errorf(grid.Invalid, "mqtt %s: url is %q: want mqtt://host:port or mqtts://host:port", c.Name, c.URL)
	}
	if u.Port() == "" {
		u.Host += ":" + port
	}
	return u.Host, secure, nil
}

func (c Config) check() error {
	if strings.ContainsAny(c.ClientID, "/+#") {
		return grid.Errorf(grid.Invalid, "mqtt %s: client_id is %q: want one without / + #", c.Name, c.ClientID)
	}
	_, _, err := c.address()
	return err
}

// config reads the files.
func (f TLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, grid.Errorf(grid.Invalid, "tls.ca: %s holds no certificate: want PEM", f.CA)
		}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert %s with tls.key %s: %w", f.Cert, f.Key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
