package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/broker"
	"gridgate/internal/dispatch"
	"gridgate/internal/mqtt"
)

// Config is everything that may be set. Unknown keys are errors; every key has a default
// (Default) and stands, commented, in configs/gridgate.yaml.
type Config struct {
	DataDir       string         `yaml:"data_dir"`
	HTTP          HTTPConfig     `yaml:"http"`
	Broker        BrokerConfig   `yaml:"broker"`
	MQTT          []MQTTConfig   `yaml:"mqtt"`
	Serial        []SerialConfig `yaml:"serial"`
	CoAP          CoAPConfig     `yaml:"coap"`
	Journal       JournalConfig  `yaml:"journal"`
	Engine        EngineConfig   `yaml:"engine"`
	Rollout       RolloutConfig  `yaml:"rollout"`
	Influx        InfluxConfig   `yaml:"influx"`
	Dispatch      DispatchConfig `yaml:"dispatch"`
	Rules         string         `yaml:"rules"`         // file; "" is the built-in set
	Tickets       string         `yaml:"tickets"`       // file; "" is the built-in set
	Calendars     string         `yaml:"calendars"`     // file; "" is the built-in set
	Hazards       string         `yaml:"hazards"`       // file; "" is the built-in set
	Commissioning string         `yaml:"commissioning"` // file; "" is the built-in set
	Figures       string         `yaml:"figures"`       // file; "" is the built-in set
	Routes        string         `yaml:"routes"`        // file; "" is the built-in set
	Contractors   string         `yaml:"contractors"`   // file; "" is the built-in set
	Duty          string         `yaml:"duty"`          // file; "" is the built-in set
	Privacy       string         `yaml:"privacy"`       // file; "" is the built-in set
	Profiles      []string       `yaml:"profiles"`      // folders; a later one overrides, all override the built-in
	Registry      []string       `yaml:"registry"`      // files with points, devices, installations, units, imported at start
	Log           LogConfig      `yaml:"log"`

	Watchdog WatchdogConfig `yaml:"watchdog"`

	Traces TracesConfig `yaml:"traces"`

	Simulation SimulationConfig `yaml:"simulation"`

	Credentials CredentialsConfig `yaml:"credentials"`

	Limits LimitsConfig `yaml:"limits"`

	Auth AuthConfig `yaml:"auth"`

	Audit AuditConfig `yaml:"audit"`

	Backup BackupConfig `yaml:"backup"`

	Standby StandbyConfig `yaml:"standby"`

	Labels LabelsConfig `yaml:"labels"`

	// DemoDistrict gives a gateway that has no areas the schematic district. Only a demo sets it.
	DemoDistrict bool `yaml:"-"`
}

// HTTPConfig is the API's listeners: plain HTTP, and HTTPS for who comes from elsewhere.
type HTTPConfig struct {
	Listen    string        `yaml:"listen"` // "" : no API
	TLS       HTTPTLSConfig `yaml:"tls"`
	TokenFile string        `yaml:"token_file"` // made at the first start, readable by the owner alone; "" : <data_dir>/token

	TrustedProxies []string `yaml:"trusted_proxies"` // networks of our own proxies: X-Forwarded-For is believed of them alone
	MetricsFrom    []string `yaml:"metrics_from"`    // networks from which /metrics is read without a token
}

// BrokerConfig is the embedded MQTT broker. Without users and not anonymous there is one
// user, gridgate, whose password is made at the first start (BrokerTokenPath).
type BrokerConfig struct {
	Enabled     bool         `yaml:"enabled"`
	Listen      string       `yaml:"listen"` // "": with TLS alone
	ListenTLS   string       `yaml:"listen_tls"`
	TLS         broker.TLS   `yaml:"tls"`
	Anonymous   bool         `yaml:"anonymous"` // refused on anything but loopback
	Users       []BrokerUser `yaml:"users"`
	MaxPayload  Bytes        `yaml:"max_payload"`
	MaxPacket   Bytes        `yaml:"max_packet"`
	MaxClients  int          `yaml:"max_clients"`
	MaxInFlight int          `yaml:"max_in_flight"` // unacknowledged frames of one connection

	Envelopes []EnvelopeRule `yaml:"envelopes"` // of several that fit the first holds
}

// BrokerUser lets clients in under one name.
type BrokerUser broker.User

// MQTTConfig is one broker to subscribe to.
type MQTTConfig struct {
	Name         string   `yaml:"name"` // the source in the ledger: do not rename lightly
	URL          string   `yaml:"url"`  // mqtt://host:1883, mqtts://host:8883
	ClientID     string   `yaml:"client_id"`
	Username     string   `yaml:"username"`
	PasswordFile string   `yaml:"password_file"`
	Topics       []string `yaml:"topics"`
	TLS          mqtt.TLS `yaml:"tls"`

	SkipQueueCheck bool `yaml:"skip_queue_check"` // do not measure and watch the broker's queue

	Envelopes []EnvelopeRule `yaml:"envelopes"`
}

// JournalConfig is the durable frame log.
type JournalConfig struct {
	SegmentBytes Bytes         `yaml:"segment_bytes"`
	SegmentAge   time.Duration `yaml:"segment_age"`
	RetainDays   int           `yaml:"retain_days"`
	RetainBytes  Bytes         `yaml:"retain_bytes"` // 0: the smaller of 20 % of the disk and 50 GB
	ReserveBytes Bytes         `yaml:"reserve_bytes"`

	// Free space below which, in this order, things stop. 0: by the disk's size.
	MinFreeInflux Bytes `yaml:"min_free_influx"` // the InfluxDB queue stops growing
	MinFreeBulk   Bytes `yaml:"min_free_bulk"`   // bulk frames are refused
	MinFreeSafety Bytes `yaml:"min_free_safety"` // safety frames are refused
}

// EngineConfig is how frames become effects.
type EngineConfig struct {
	Decoders        int           `yaml:"decoders"` // 0: as many as there are cores
	CheckpointEvery time.Duration `yaml:"checkpoint_every"`
	SessionSilent   time.Duration `yaml:"session_silent"` // a technician's session that is silent for so long is gone
}

// RolloutConfig says when the roll-out of a profile's version to a share of its devices
// ends by itself.
type RolloutConfig struct {
	MinFrames       int     `yaml:"min_frames"`        // of the share, before it is judged
	MaxWorsePercent float64 `yaml:"max_worse_percent"` // of them may fail more than with the version in force
}

// InfluxConfig is where readings go.
type InfluxConfig struct {
	Managed    bool   `yaml:"managed"` // run influxd as a child process
	Bin        string `yaml:"bin"`     // "" : .tools/bin/influxd beside the program or above the working folder, else PATH
	Listen     string `yaml:"listen"`  // of the managed one
	URL        string `yaml:"url"`     // of one that is run elsewhere; "" with managed false: readings are not stored
	TokenFile  string `yaml:"token_file"`
	Org        string `yaml:"org"`
	CA         string `yaml:"ca"`     // PEM, of https:// of our own; beside the system's
	Bucket     string `yaml:"bucket"` // 1.8: "database/retention policy"
	QueueBytes Bytes  `yaml:"queue_bytes"`
}

// DispatchConfig is how units are told.
type DispatchConfig struct {
	AllowCIDRs []string       `yaml:"allow_cidrs"` // private networks that webhooks may reach; none by default
	CA         string         `yaml:"ca"`          // PEM, of units of our own; beside the system's
	Timeout    time.Duration  `yaml:"timeout"`
	Retry      dispatch.Retry `yaml:"retry"`
	TestEvery  time.Duration  `yaml:"test_every"` // how often each channel is tested at least
	Poll       time.Duration  `yaml:"poll"`       // how often a unit that must be asked is asked for its answers
	Connectors []string       `yaml:"connectors"` // folders of connectors that are data; a later one overrides, all override the built-in
	Mail       MailConfig     `yaml:"mail"`
	Link       string         `yaml:"link"`    // where a person sees a ticket, with {ticket} in it; "" is none
	CAP        string         `yaml:"cap"`     // file with the table of CAP; "" is the built-in one
	Open311    string         `yaml:"open311"` // file with the services of /open311/v2; "" is the built-in one
}

// MailConfig is the mail server that letters to units are handed to.
type MailConfig struct {
	Server       string `yaml:"server"` // host:port; "" is no connector "mail"
	ImplicitTLS  bool   `yaml:"implicit_tls"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	From         string `yaml:"from"`
}

// Default is the configuration of a gateway that is given none: everything on loopback,
// data in one folder.
func Default() Config {
	return Config{
		DataDir:  "gridgate-data",
		HTTP:     HTTPConfig{Listen: "127.0.0.1:8080", TLS: HTTPTLSConfig{Redirect: true}, MetricsFrom: []string{"127.0.0.0/8", "::1/128"}},
		Broker:   BrokerConfig{Enabled: true, Listen: "127.0.0.1:1883", MaxPayload: 256 << 10, MaxPacket: 4 << 20, MaxClients: 10_000, MaxInFlight: 1024},
		CoAP:     defaultCoAP(),
		Journal:  JournalConfig{SegmentBytes: 64 << 20, SegmentAge: time.Hour, RetainDays: 14, ReserveBytes: 64 << 20},
		Engine:   EngineConfig{CheckpointEvery: 5 * time.Second, SessionSilent: 2 * time.Minute},
		Rollout:  RolloutConfig{MinFrames: 20, MaxWorsePercent: 5},
		Influx:   InfluxConfig{Managed: true, Listen: "127.0.0.1:8086", Bucket: "gridgate/autogen", QueueBytes: 2 << 30},
		Dispatch: DispatchConfig{Timeout: 15 * time.Second, TestEvery: 2 * time.Hour, Poll: time.Minute, Retry: dispatch.StandardRetry()},
		Log:      LogConfig{Level: "info", Format: "text", MaxSize: 64 << 20, Keep: 5},

		Watchdog: defaultWatchdog(),

		Traces: defaultTraces(),

		Simulation: SimulationConfig{Speed: 1},

		Credentials: defaultCredentials(),

		Limits: defaultLimits(),

		Auth: defaultAuth(),

		Audit: defaultAudit(),

		Backup: defaultBackup(), Standby: defaultStandby(),
	}
}

// LoadConfig reads a file over the defaults, then the environment over the file, and
// validates the result. path "" means defaults and environment alone. Relative paths in
// a file are relative to its folder.
func LoadConfig(path string, environ []string) (Config, error) {
	c := Default()
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("config: %w", err)
		}
		if err := c.parse(b); err != nil {
			return c, fmt.Errorf("config %s: %w", path, err)
		}
		c.resolve(filepath.Dir(path))
	}
	if err := c.fromEnv(environ); err != nil {
		return c, err
	}
	if err := c.Validate(); err != nil {
		return c, err
	}
	return c, nil
}

// parse reads strict YAML over what c already holds; its errors name the line and the key.
func (c *Config) parse(b []byte) error {
	err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(c)
	if errors.Is(err, io.EOF) { // an empty file changes nothing
		return nil
	}
	return err
}

// resolve makes relative paths relative to dir.
func (c *Config) resolve(dir string) {
	paths := []*string{&c.DataDir, &c.Audit.KeyFile, &c.HTTP.TokenFile, &c.Credentials.KeyFile, &c.Influx.Bin, &c.Influx.TokenFile, &c.Rules, &c.Tickets, &c.Routes, &c.Dispatch.CAP, &c.Dispatch.Open311, &c.Dispatch.Mail.PasswordFile, &c.Calendars, &c.Hazards, &c.Commissioning, &c.Figures, &c.Contractors, &c.Duty, &c.Privacy, &c.Labels.File, &c.Labels.Font, &c.Broker.TLS.Cert, &c.Broker.TLS.Key, &c.Broker.TLS.ClientCA}
	paths = append(paths, &c.Backup.Dir, &c.Log.File)
	for i := range c.MQTT {
		m := &c.MQTT[i]
		paths = append(paths, &m.PasswordFile, &m.TLS.CA, &m.TLS.Cert, &m.TLS.Key)
	}
	paths = append(append(paths, c.CoAP.files()...), c.HTTP.TLS.files()...)
	paths = append(paths, &c.Influx.CA, &c.Dispatch.CA, &c.Traces.HeadersFile, &c.Traces.CA)
	for i := range c.Profiles {
		paths = append(paths, &c.Profiles[i])
	}
	for i := range c.Dispatch.Connectors {
		paths = append(paths, &c.Dispatch.Connectors[i])
	}
	for i := range c.Auth.OIDC {
		paths = append(paths, &c.Auth.OIDC[i].SecretFile)
	}
	for i := range c.Registry {
		paths = append(paths, &c.Registry[i])
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Validate reports everything that is wrong, each naming the key and the wish.
func (c *Config) Validate() error {
	var v problems
	v.want(c.DataDir != "", "data_dir is empty: want a folder")
	if c.HTTP.Listen != "" {
		v.listen("http.listen", c.HTTP.Listen)
	}
	c.HTTP.TLS.validate(&v)
	c.validateBroker(&v)
	c.validateMQTT(&v)
	c.validateSerial(&v)
	c.validateCoAP(&v)
	c.validateJournal(&v)
	c.validateInflux(&v)
	c.validateDispatch(&v)
	c.Credentials.validate(&v)
	c.Limits.validate(&v)
	c.Auth.validate(&v)
	c.Audit.validate(&v)
	validProxies(&v, c.HTTP.TrustedProxies)
	validNetworks(&v, "http.metrics_from", c.HTTP.MetricsFrom)
	c.Simulation.validate(&v)
	c.Backup.validate(&v)
	c.Standby.validate(&v)
	v.want(c.Rollout.MinFrames >= 1, "rollout.min_frames is %d: want at least 1", c.Rollout.MinFrames)
	v.want(c.Rollout.MaxWorsePercent > 0 && c.Rollout.MaxWorsePercent <= 100, "rollout.max_worse_percent is %v: want more than 0, at most 100", c.Rollout.MaxWorsePercent)
	v.want(c.Engine.Decoders >= 0 && c.Engine.Decoders <= 256, "engine.decoders is %d: want 0 (one per core) to 256", c.Engine.Decoders)
	v.want(c.Engine.CheckpointEvery >= 100*time.Millisecond, "engine.checkpoint_every is %s: want 100ms or more", c.Engine.CheckpointEvery)
	v.want(c.Engine.SessionSilent >= 10*time.Second && c.Engine.SessionSilent <= 10*time.Minute, "engine.session_silent is %s: want 10s to 10m", c.Engine.SessionSilent)
	c.Log.validate(&v)
	c.Watchdog.validate(&v)
	c.Traces.validate(&v)
	if len(v) > 0 {
		return fmt.Errorf("config: %w", errors.Join(v...))
	}
	return nil
}

func (c *Config) validateBroker(v *problems) {
	if c.Broker.Enabled {
		c.Broker.validate(v)
	}
}

func (c *Config) validateMQTT(v *problems) {
	seen, clients := map[string]bool{}, map[string]bool{}
	for i, m := range c.MQTT {
		at := fmt.Sprintf("mqtt[%d]", i)
		v.want(m.Name != "", "%s.name is empty: want a name for the ledger", at)
		v.want(!seen[m.Name], "%s.name is %q again: want each broker under its own name", at, m.Name)
		seen[m.Name] = true
		u, err := url.Parse(m.URL)
		v.want(err == nil && u.Host != "" && oneOf(u.Scheme, "mqtt", "mqtts", "tcp", "tls", "ssl"), "%s.url is %q: want mqtt://host:1883 or mqtts://host:8883", at, m.URL)
		m.validate(v, at)
		if who := m.URL + " " + m.ClientID; m.ClientID != "" {
			v.want(!clients[who], "%s.client_id is %q again at %s: want each connection under its own", at, m.ClientID, m.URL)
			clients[who] = true
		}
	}
}

func (c *Config) validateJournal(v *problems) {
	j := c.Journal
	v.want(j.SegmentBytes >= 1<<20, "journal.segment_bytes is %s: want 1MiB or more", j.SegmentBytes)
	v.want(j.SegmentAge >= time.Second, "journal.segment_age is %s: want 1s or more", j.SegmentAge)
	v.want(j.RetainDays >= 1, "journal.retain_days is %d: want 1 or more", j.RetainDays)
	v.want(j.RetainBytes >= 0, "journal.retain_bytes is %s: want 0 (by the disk's size) or more", j.RetainBytes)
	v.want(j.ReserveBytes >= 0, "journal.reserve_bytes is %s: want 0 or more", j.ReserveBytes)
	marks := [...]Bytes{j.MinFreeInflux, j.MinFreeBulk, j.MinFreeSafety}
	v.want(marks == [3]Bytes{} || marks[0] >= marks[1] && marks[1] >= marks[2] && marks[2] > 0,
		"journal.min_free_… are %s, %s, %s: want influx ≥ bulk ≥ safety > 0, so that safety stops last, or all 0", marks[0], marks[1], marks[2])
}

func (c *Config) validateInflux(v *problems) {
	i := c.Influx
	if i.Managed {
		v.listen("influx.listen", i.Listen)
		v.want(i.URL == "", "influx.managed is true and influx.url is %q: want one of the two", i.URL)
		v.want(loopback(i.Listen), "influx.listen is %q: want a loopback address, the managed InfluxDB has no password", i.Listen)
	} else if i.URL != "" {
		u, err := url.Parse(i.URL)
		v.want(err == nil && u.Host != "" && oneOf(u.Scheme, "http", "https"), "influx.url is %q: want http://host:8086", i.URL)
	}
	v.want(i.Bucket != "", "influx.bucket is empty: want a bucket, or database/policy for 1.8")
	v.want(i.QueueBytes >= 1<<20, "influx.queue_bytes is %s: want 1MiB or more", i.QueueBytes)
}

func (c *Config) validateDispatch(v *problems) {
	d := c.Dispatch
	for i, s := range d.AllowCIDRs {
		_, err := netip.ParsePrefix(s)
		v.want(err == nil, "dispatch.allow_cidrs[%d] is %q: want a network such as 10.1.0.0/16", i, s)
	}
	v.want(d.Timeout > 0 && d.Timeout <= time.Minute, "dispatch.timeout is %s: want more than 0 and at most 1m", d.Timeout)
	v.want(d.TestEvery >= time.Minute && d.TestEvery <= 2*time.Hour, "dispatch.test_every is %s: want 1m to 2h", d.TestEvery)
	for name, pauses := range map[string][]time.Duration{"normal": d.Retry.Normal, "urgent": d.Retry.Urgent} {
		v.want(len(pauses) > 0, "dispatch.retry.%s is empty: want at least one pause", name)
		for _, p := range pauses {
			v.want(p >= 0, "dispatch.retry.%s has a pause of %s: want 0 or more", name, p)
		}
	}
	v.want(d.Retry.Jitter >= 0 && d.Retry.Jitter < 1, "dispatch.retry.jitter is %g: want 0 to less than 1", d.Retry.Jitter)
}

// problems collects what is wrong, so that a person mends a file in one go.
type problems []error

func (v *problems) want(ok bool, format string, args ...any) {
	if !ok {
		*v = append(*v, fmt.Errorf(format, args...))
	}
}

func (v *problems) listen(key, addr string) {
	_, _, err := net.SplitHostPort(addr)
	v.want(err == nil, "%s is %q: want host:port, for example 127.0.0.1:8080", key, addr)
}

func (v *problems) oneOf(key, got string, wish ...string) {
	v.want(oneOf(got, wish...), "%s is %q: want %s", key, got, strings.Join(wish, ", "))
}

func oneOf(got string, wish ...string) bool {
	for _, w := range wish {
		if got == w {
			return true
		}
	}
	return false
}

// loopback reports whether only this machine can reach addr.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Bytes is a size, written "64MiB" (also KiB, GiB, TiB, or kB, MB, GB, TB) or as a plain number.
type Bytes int64

var byteUnits = []struct {
	suffix string
	size   float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// ParseBytes reads a size.
func ParseBytes(s string) (Bytes, error) {
	text, size := strings.TrimSpace(s), 1.0
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			text, size = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n*size > 1<<62 || n != n {
		return 0, fmt.Errorf("size is %q: want for example 64MiB", s)
	}
	return Bytes(n * size), nil
}

func (b Bytes) String() string {
	for _, u := range []struct {
		suffix string
		size   Bytes
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if b >= u.size && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// UnmarshalYAML reads "64MiB" or a number.
func (b *Bytes) UnmarshalYAML(text []byte) (err error) {
	*b, err = ParseBytes(strings.Trim(string(text), "\"' \n"))
	return err
}
