package gateway

import (
	"slices"
	"strings"

	"gridgate/internal/envelope"
)

// EnvelopeRule says how messages are wrapped on topics that have no form of their own,
// such as those that a LORIOT or Milesight user chooses.
type EnvelopeRule struct {
	Topic    string `yaml:"topic"`    // a topic filter; it is subscribed to beside the others
	Envelope string `yaml:"envelope"` // a name of package envelope
	Down     string `yaml:"down"`     // the topic of downlinks to devices heard there; {device} is the identity without its kind
}

func (v *problems) envelopes(at string, configured []EnvelopeRule) {
	told := rules(configured)
	for i, r := range configured {
		v.want(isFilter(r.Topic), "%s[%d].topic is %q: want a topic filter such as loriot/#", at, i, r.Topic)
		v.want(!strings.ContainsAny(r.Down, "+#") && !told[i].Hears(r.Down), "%s[%d].down is %q: want a topic such as loriot/down/{device}, and none that %s hears", at, i, r.Down, r.Topic)
		v.want(slices.Contains(envelope.Names(), r.Envelope), "%s[%d].envelope is %q: want %s", at, i, r.Envelope, strings.Join(envelope.Names(), ", "))
	}
}

// isFilter reports whether s is an MQTT topic filter: a wildcard is a whole level, and # the last.
func isFilter(s string) bool {
	levels := strings.Split(s, "/")
	for i, l := range levels {
		if strings.Contains(l, "#") && (l != "#" || i != len(levels)-1) || strings.Contains(l, "+") && l != "+" {
			return false
		}
	}
	return s != ""
}

// rules are what a router is told: topics as they come, without a shared subscription's prefix.
func rules(configured []EnvelopeRule) []envelope.Rule {
	var out []envelope.Rule
	for _, r := range configured {
		topic := r.Topic
		if rest, ok := strings.CutPrefix(topic, "$share/"); ok {
			_, topic, _ = strings.Cut(rest, "/")
		}
		out = append(out, envelope.Rule{Topic: topic, Envelope: r.Envelope, Down: r.Down})
	}
	return out
}

// withTopics adds the rules' topics to those that are subscribed to.
func withTopics(topics []string, configured []EnvelopeRule) []string {
	topics = slices.Clone(topics)
	for _, r := range configured {
		if !slices.Contains(topics, r.Topic) {
			topics = append(topics, r.Topic)
		}
	}
	return topics
}
