package gateway

import (
	"encoding/json"
	"strings"
	"testing"

	"gridgate/internal/grid"
)

func TestTheConfigurationInForceIsShownWithoutWhatIsSecret(t *testing.T) {
	g := &Gateway{cfg: Default()}
	g.cfg.Broker.Users = []BrokerUser{{Name: "sensors", Password: "hunter2-broker", Identities: []grid.Identity{"sn:1"}}}
	g.cfg.MQTT = []MQTTConfig{{Name: "city", URL: "mqtts://gate:hunter2-url@broker.example:8883", PasswordFile: "/etc/gridgate/city.password"}}
	c, err := g.effective()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if strings.Contains(text, "hunter2") {
		t.Errorf("a password is shown: %s", text)
	}
	for _, want := range []string{"sensors", "broker.example:8883", "/etc/gridgate/city.password", notShown, "127.0.0.1:8080"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}
