package gateway

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/coap"
	"gridgate/internal/envelope"
)

// CoAPConfig is the CoAP listeners. Without an address there is none.
type CoAPConfig struct {
	Listen     string     `yaml:"listen"` // UDP
	TCP        string     `yaml:"tcp"`
	Open       bool       `yaml:"open"` // listen and tcp may be reached from elsewhere: they have no passwords
	DTLS       DTLSConfig `yaml:"dtls"`
	LwM2M      bool       `yaml:"lwm2m"` // devices may register at /rd
	MaxPayload Bytes      `yaml:"max_payload"`
	MaxPeers   int        `yaml:"max_peers"` // of each listener; past it the one longest idle goes
	Rate       int        `yaml:"rate"`      // requests a second that one peer may send for long
	Burst      int        `yaml:"burst"`     // requests that it may send at once
}

// DTLSConfig is the secured CoAP listener.
type DTLSConfig struct {
	Listen   string        `yaml:"listen"`
	KeysFile string        `yaml:"keys_file"` // read again when it changes, as are the others
	Cert     string        `yaml:"cert"`
	Key      string        `yaml:"key"`
	ClientCA string        `yaml:"client_ca"`
	Idle     time.Duration `yaml:"idle"` // a session that is silent for so long is forgotten
}

// coapSource is the listeners' name in the ledger.
const coapSource = "coap"

func defaultCoAP() CoAPConfig {
	return CoAPConfig{DTLS: DTLSConfig{Idle: 26 * time.Hour}, MaxPayload: 64 << 10, MaxPeers: 10_000, Rate: 20, Burst: 64}
}

func (c *CoAPConfig) on() bool { return c.Listen != "" || c.TCP != "" || c.DTLS.Listen != "" }

func (c *CoAPConfig) files() []*string {
	return []*string{&c.DTLS.KeysFile, &c.DTLS.Cert, &c.DTLS.Key, &c.DTLS.ClientCA}
}

func (c *Config) validateCoAP(v *problems) {
	o := &c.CoAP
	for _, l := range []struct{ key, addr string }{{"coap.listen", o.Listen}, {"coap.tcp", o.TCP}} {
		if l.addr != "" {
			v.listen(l.key, l.addr)
			v.want(o.Open || loopback(l.addr), "%s is %q: want coap.open true, which says that it may be reached from elsewhere without a password; or coap.dtls; or a loopback address such as 127.0.0.1:5683", l.key, l.addr)
		}
	}
	if d := o.DTLS; d.Listen != "" {
		v.listen("coap.dtls.listen", d.Listen)
		v.want((d.Cert == "") == (d.Key == ""), "coap.dtls: want cert and key together")
		v.want(d.ClientCA == "" || d.Cert != "", "coap.dtls.client_ca is set: want cert and key of the gateway too")
	}
	v.want(!o.LwM2M || o.on(), "coap.lwm2m is true: want coap.listen, coap.tcp or coap.dtls.listen, where devices register")
	v.want(o.DTLS.Idle >= time.Minute, "coap.dtls.idle is %s: want more than the longest reporting interval, and 1m at least", o.DTLS.Idle)
	v.want(o.MaxPayload >= 1<<10 && o.MaxPayload <= 1<<20, "coap.max_payload is %s: want 1KiB to 1MiB", o.MaxPayload)
	v.want(o.MaxPeers > 0, "coap.max_peers is %d: want 1 or more", o.MaxPeers)
	v.want(o.Rate > 0 && o.Burst > 0, "coap.rate is %d and coap.burst %d: want 1 or more", o.Rate, o.Burst)
}

func (g *Gateway) makeCoAP() {
	c := &g.cfg.CoAP
	if !c.on() {
		return
	}
	g.coap = coap.New(coap.Config{
		Name: coapSource, UDP: c.Listen, TCP: c.TCP, MaxPayload: int(c.MaxPayload), MaxPeers: c.MaxPeers, Rate: c.Rate, Burst: c.Burst,
		DTLS:     coap.DTLS{Listen: c.DTLS.Listen, KeysFile: c.DTLS.KeysFile, Cert: c.DTLS.Cert, Key: c.DTLS.Key, ClientCA: c.DTLS.ClientCA, Idle: c.DTLS.Idle},
		LwM2M:    coap.LwM2M{On: c.LwM2M, Resources: g.resources, StateFile: g.cfg.LwM2MPath()},
		Identify: envelope.NewRouter(routes).Identify, City: g.clock.Now, Credentials: lateVault{g},
	}, g.log)
}

// CoAPAddr says where CoAP listens: udp, dtls or tcp; "" when it does not.
func (g *Gateway) CoAPAddr(kind string) string {
	if g.coap == nil {
		return ""
	}
	return g.coap.Addr(kind)
}

func (g *Gateway) coapMetrics(send sender) {
	if g.coap == nil {
		return
	}
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	s := g.coap.Status()
	send(gauge, "coap_waiting_frames", "Frames not yet durable.", float64(s.Waiting))
	send(gauge, "coap_keys", "Devices with a key or certificate of their own.", float64(s.Keys))
	if m, on := g.coap.LwM2M(); on {
		send(gauge, "lwm2m_registrations", "Devices that are registered.", float64(m.Registrations))
		send(gauge, "lwm2m_observations", "Resources that devices notify of.", float64(m.Observations))
		send(gauge, "lwm2m_waiting_requests", "Requests for devices that sleep or have not answered.", float64(m.Waiting))
		send(count, "lwm2m_expired_total", "Registrations whose device was silent past its lifetime.", float64(m.Expired))
		send(count, "lwm2m_unanswered_requests_total", "Requests that were given up.", float64(m.Dropped))
	}
	send(count, "coap_acknowledged_frames_total", "Frames durable and answered with 2.04.", float64(s.Acked))
	send(count, "coap_retried_frames_total", "Frames given to the journal again.", float64(s.Retried))
	send(count, "coap_repeated_messages_total", "Messages that had come before.", float64(s.Repeated))
	send(count, "coap_limited_messages_total", "Messages over the rate of their peer.", float64(s.Limited))
	send(count, "coap_refused_messages_total", "Messages answered 4.xx.", float64(s.RefusedRequests))
	send(count, "coap_denied_messages_total", "Messages of peers that may not speak for the device.", float64(s.Denied))
	send(count, "coap_unreadable_datagrams_total", "Datagrams that are not CoAP.", float64(s.Unreadable))
	send(count, "coap_evicted_peers_total", "Idle peers that had to go for others.", float64(s.Evicted))
	send(count, "coap_handshakes_total", "DTLS sessions begun.", float64(s.Handshakes))
	send(count, "coap_failed_handshakes_total", "DTLS handshakes that failed.", float64(s.FailedHandshakes))
}

// runCoAP starts the listeners and waits until they are open.
func (g *Gateway) runCoAP(ctx context.Context) {
	if g.coap == nil {
		return
	}
	g.run.start(ctx, "coap", func(ctx context.Context) error { return g.coap.Run(ctx, g.early) })
	select {
	case <-g.coap.Ready():
	case <-ctx.Done():
	}
}
