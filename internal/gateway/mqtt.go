package gateway

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/auth"
	"gridgate/internal/broker"
	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/mqtt"
)

func (g *Gateway) mqttMetrics(send sender) {
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	if g.broker != nil {
		s := g.broker.Status()
		send(gauge, "broker_max_clients", "Connections that it takes.", float64(s.MaxClients))
		send(count, "broker_slowed_logins_total", "Logins of clients that come and go too often, which waited.", float64(s.Slowed))
		send(count, "broker_refused_total", "Logins, publishes and connections that it refused.", float64(s.TurnedAway))
		send(count, "broker_acknowledged_frames_total", "Frames durable and acknowledged.", float64(s.Acked))
	}
	for i, t := range g.mqtt {
		s, name := t.Status(), g.cfg.MQTT[i].Name
		refused := 0
		for _, sub := range s.Subscriptions {
			if sub.Refused {
				refused++
			}
		}
		send(gauge, "mqtt_refused_subscriptions", "Topics that the broker does not let us hear.", float64(refused), "broker", name)
		send(gauge, "mqtt_canary_seconds", "From sending the last message to ourselves to hearing it.", s.CanaryRTT.Seconds(), "broker", name)
		send(gauge, "mqtt_waiting_frames", "Frames that came and are not yet durable.", float64(s.Waiting), "broker", name)
		send(count, "mqtt_acknowledged_frames_total", "Frames durable and acknowledged.", float64(s.Acked), "broker", name)
		send(count, "mqtt_dropped_messages_total", "Messages that the broker itself counts as dropped, for all its clients, since we look.", float64(s.Queue.Dropped), "broker", name)
		send(count, "mqtt_queue_gaps_total", "Messages to ourselves that the broker took and did not deliver: its queue for us was full.", float64(s.Queue.Gaps), "broker", name)
		send(count, "mqtt_lost_sessions_total", "Times the broker came back without what it kept for us.", float64(s.Queue.Lost), "broker", name)
		if s.Queue.Measured {
			send(gauge, "mqtt_broker_in_flight_limit", "Messages that the broker sends ahead of our acknowledgements, as measured.", float64(s.Queue.InFlight), "broker", name)
			send(gauge, "mqtt_broker_queue_limit", "Messages that it keeps behind those, as measured, or at least.", float64(s.Queue.Waiting), "broker", name)
		}
	}
}

// config is the embedded broker as configured.
func (c *BrokerConfig) config() broker.Config {
	router := envelope.NewRouter(routes, rules(c.Envelopes)...)
	b := broker.Config{
		Name: "embedded", Listen: c.Listen, ListenTLS: c.ListenTLS, TLS: c.TLS, Anonymous: c.Anonymous, MaxClients: c.MaxClients,
		MaxPayload: int(c.MaxPayload), MaxPacket: int(c.MaxPacket), Window: c.MaxInFlight, Uplinks: withTopics(envelope.Topics(), c.Envelopes),
		Identify: router.Identify, Downlink: router.Downlink, Remember: envelope.NewMemory().Remember,
	}
	for _, u := range c.Users {
		b.Users = append(b.Users, broker.User(u))
	}
	return b
}

// validate checks what the embedded broker is told.
func (b *BrokerConfig) validate(v *problems) {
	if b.Listen != "" || b.ListenTLS == "" {
		v.listen("broker.listen", b.Listen)
	}
	if b.ListenTLS != "" {
		v.listen("broker.listen_tls", b.ListenTLS)
		v.want(b.TLS.Cert != "" && b.TLS.Key != "", "broker.tls: want cert and key for listen_tls")
	} else {
		v.want(b.TLS == broker.TLS{}, "broker.tls is set: want listen_tls, for example 0.0.0.0:8883")
	}
	v.want(!b.Anonymous || loopback(b.Listen) && b.ListenTLS == "", "broker.anonymous is true and broker.listen is %q: want false, or a loopback address such as 127.0.0.1:1883 and no listen_tls", b.Listen)
	seen := map[string]bool{}
	for i, u := range b.Users {
		at := fmt.Sprintf("broker.users[%d]", i)
		v.want(u.Name != "" && (u.Password != "" || b.TLS.ClientCA != ""), "%s: want a name and a password, or broker.tls.client_ca for one who shows a certificate", at)
		v.want(!seen[u.Name], "%s.name is %q again: want each account under its own name", at, u.Name)
		seen[u.Name] = true
		for _, id := range u.Identities {
			got, note := envelope.ParseIdentity(string(id))
			if note == "" && got != id {
				note = "want it as " + string(got)
			}
			v.want(note == "", "%s.identities has %q: %s", at, id, note)
		}
		for _, f := range append(append([]string(nil), u.Publish...), u.Subscribe...) {
			v.want(isFilter(f), "%s: topic filter %q: want one such as zigbee2mqtt/#", at, f)
		}
	}
	v.want(b.MaxPayload >= 1<<10 && b.MaxPayload <= 1<<20, "broker.max_payload is %s: want 1KiB to 1MiB", b.MaxPayload)
	v.want(b.MaxPacket >= b.MaxPayload && b.MaxPacket <= 64<<20, "broker.max_packet is %s: want max_payload (%s) to 64MiB", b.MaxPacket, b.MaxPayload)
	v.want(b.MaxClients > 0, "broker.max_clients is %d: want 1 or more", b.MaxClients)
	v.want(b.MaxInFlight >= 1 && b.MaxInFlight <= 65535, "broker.max_in_flight is %d: want 1 to 65535", b.MaxInFlight)
	v.envelopes("broker.envelopes", b.Envelopes)
}

// validate checks one broker to subscribe to, beside its name and URL.
func (m *MQTTConfig) validate(v *problems, at string) {
	v.want(len(m.Topics)+len(m.Envelopes) > 0, "%s.topics is empty: want at least one, for example gridgate/up/#", at)
	for _, t := range m.Topics {
		v.want(isFilter(t) && sharedWell(t), "%s.topics has %q: want a topic filter, or $share/<group>/<filter>", at, t)
	}
	v.envelopes(at+".envelopes", m.Envelopes)
	v.want((m.TLS.Cert == "") == (m.TLS.Key == ""), "%s.tls: want cert and key together", at)
	secure := strings.HasPrefix(m.URL, "mqtts:") || strings.HasPrefix(m.URL, "ssl:") || strings.HasPrefix(m.URL, "tls:")
	v.want(secure || m.TLS == mqtt.TLS{}, "%s.tls is set and url is %q: want mqtts://", at, m.URL)
	v.want(!strings.ContainsAny(m.ClientID, "/+#"), "%s.client_id is %q: want one without / + #", at, m.ClientID)
}

// sharedWell reports whether a shared subscription has a group and a filter; others are well.
func sharedWell(filter string) bool {
	rest, shared := strings.CutPrefix(filter, "$share/")
	if !shared {
		return filter != "$share"
	}
	group, filter, _ := strings.Cut(rest, "/")
	return group != "" && !strings.ContainsAny(group, "+#") && filter != ""
}

func (g *Gateway) makeBroker() error {
	c := &g.cfg
	if c.Broker.Enabled {
		b := c.Broker.config()
		b.Credentials = lateVault{g}
		if len(b.Users) == 0 && !b.Anonymous {
			password, err := auth.TokenFile(c.BrokerTokenPath())
			if err != nil {
				return err
			}
			b.Users = []broker.User{{Name: "gridgate", Password: password}}
		}
		b.Now, b.Flapping = g.clock.Now, g.cfg.Limits.Logins
		b.Listens = func(id grid.Identity) { g.early.full.Load().heard(id) }
		g.broker = broker.New(b, g.log)
	}
	return nil
}

func (g *Gateway) makeMQTT() error {
	for _, m := range g.cfg.MQTT {
		router := envelope.NewRouter(routes, rules(m.Envelopes)...)
		t, err := m.config()
		if err != nil {
			return err
		}
		t.Now, t.Identify, t.Downlink, t.Remember = g.clock.Now, router.Identify, router.Downlink, envelope.NewMemory().Remember
		g.mqtt = append(g.mqtt, mqtt.New(t, g.log))
	}
	return nil
}

// routes is how many topics each transport remembers: a topic says who sent it.
const routes = 100_000
