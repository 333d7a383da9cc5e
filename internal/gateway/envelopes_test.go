package gateway

import (
	"slices"
	"testing"

	"gridgate/internal/envelope"
	"gridgate/internal/grid"
)

func TestEnvelopesOfASourceAreSubscribedToAndRouted(t *testing.T) {
	c, err := LoadConfig(write(t, `mqtt: [{name: a, url: "mqtt://x", topics: [gridgate/up/#, lns/#], envelopes: [{topic: "$share/g/radio/+/up", envelope: loriot}, {topic: lns/#, envelope: chirpstack}]}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := c.MQTT[0]
	if got, want := withTopics(m.Topics, m.Envelopes), []string{"gridgate/up/#", "lns/#", "$share/g/radio/+/up"}; !slices.Equal(got, want) {
		t.Errorf("subscribes to %q: want %q", got, want)
	}
	r := envelope.NewRouter(10, rules(m.Envelopes)...)
	if id, name, note := r.Identify("radio/7/up", []byte(`{"cmd":"rx","EUI":"24E124136B502217"}`)); id != "eui:24e124136b502217" || name != envelope.LORIOT {
		t.Errorf("got %q %q %q", id, name, note)
	}
}

func TestDownlinksGoToTheTopicThatIsConfiguredForThem(t *testing.T) {
	c, err := LoadConfig(write(t, `mqtt: [{name: a, url: "mqtt://x", topics: [gridgate/up/#], envelopes: [{topic: "$share/g/floor2/up", envelope: milesight, down: "floor2/down/{device}"}]}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := envelope.NewRouter(10, rules(c.MQTT[0].Envelopes)...)
	d := &grid.Downlink{ID: "x", Device: "eui:24e124136b502217", Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "ff", Port: 85}}}
	topic, _, _, err := r.Downlink(d, grid.Frame{Envelope: envelope.Milesight, Address: "floor2/up", Raw: []byte("{}")})
	if err != nil || topic != "floor2/down/24e124136b502217" {
		t.Errorf("got %q, %v", topic, err)
	}
}
