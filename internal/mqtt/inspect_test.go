package mqtt

import (
	"strings"
	"testing"

	"gridgate/internal/gatetest"
)

// told is what an inspection says, in one text.
func told(found []Finding) string {
	var lines []string
	for _, f := range found {
		word := "warning: "
		if f.Wrong {
			word = "wrong: "
		}
		lines = append(lines, word+f.What+": "+f.Fix)
	}
	return strings.Join(lines, "\n")
}

func TestABrokerThatDoesWhatIsWantedIsFoundWell(t *testing.T) {
	m := startMosquitto(t, "sys_interval 1", "max_inflight_messages 1000", "max_queued_messages 0")
	if found := Inspect(t.Context(), Config{Name: "city", URL: m.url()}, false); len(found) != 0 {
		t.Errorf("found:\n%s", told(found))
	}
}

func TestTheLimitsOfABrokerAreFoundWithWhatToDo(t *testing.T) {
	for _, c := range []struct {
		what  string
		lines []string
		want  string
	}{
		{"messages of 2,000 bytes", []string{"message_size_limit 2000"}, "wrong: the broker takes a message of 1024 bytes and throws away one of 2048"},
		{"packets of 4,000 bytes", []string{"max_packet_size 4000"}, "wrong: the broker takes packets of 4000 bytes, and frames may have 262144"},
		{"QoS 0", []string{"max_qos 0"}, "wrong: the broker takes no message at QoS 1"},
		{"nothing retained", []string{"retain_available false"}, "warning: the broker keeps no retained messages"},
		{"its own count is not told", []string{"sys_interval 0"}, "warning: the broker does not tell under $SYS"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			m := startMosquitto(t, c.lines...)
			if got := told(Inspect(t.Context(), Config{Name: "city", URL: m.url()}, false)); !strings.Contains(got, c.want) {
				t.Errorf("found:\n%s\nwant %q", got, c.want)
			}
		})
	}
}

func TestABrokerThatLetsUsDoLittleIsFoundWithWhatToDo(t *testing.T) {
	m := newMosquitto(t, "acl_file DIR/acl")
	m.write(t, "acl", "topic read gridgate/up/#\n")
	m.start(t)
	if got := told(Inspect(t.Context(), Config{Name: "city", URL: m.url()}, false)); !strings.Contains(got, "read and write $gridgate/#") {
		t.Errorf("found:\n%s\nwant that our own topics are to be allowed", got)
	}
	stranger := startMosquitto(t, "allow_anonymous false")
	if got := told(Inspect(t.Context(), Config{Name: "city", URL: stranger.url(), Username: "gate", Password: "wrong"}, false)); !strings.Contains(got, `refuses user "gate"`) {
		t.Errorf("found:\n%s\nwant that the user is refused", got)
	}
	if got := told(Inspect(t.Context(), Config{Name: "city", URL: "mqtt://" + freeAddr(t)}, false)); !strings.Contains(got, "does not answer") {
		t.Errorf("found:\n%s\nwant that nobody is there", got)
	}
}

func TestAClientIDThatSomebodyElseHasIsFoundBeforeAStart(t *testing.T) {
	m := startMosquitto(t, "max_inflight_messages 20", "max_queued_messages 100")
	other, _ := start(t, Config{Name: "city", URL: m.url(), ClientID: "gate"}, &gatetest.Inbox{})
	connected(t, other)
	got := told(Inspect(t.Context(), Config{Name: "city", URL: m.url(), ClientID: "gate"}, true))
	for _, want := range []string{`somebody else connects to the broker as "gate"`, "max_queued_messages"} {
		if !strings.Contains(got, want) {
			t.Errorf("found:\n%s\nwant %q", got, want)
		}
	}
}
