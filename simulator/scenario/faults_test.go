package scenario

import (
	"errors"
	"os"
	"strings"
	"testing"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/fault"
)

func TestTheListOfFaultsIsWhatThereIsAndTakesWhatItSays(t *testing.T) {
	sample := map[string]any{"on": []string{"coap"}, "percent": 10, "delay": "200ms", "jitter": "1s", "bandwidth": 1000, "bytes": 10, "unit": "micro", "how": "done",
		"line": "a", "leave_kib": 4, "persistence": false, "at": "answer", "one_of": 3}
	known := BuiltIn()
	for _, w := range FaultList() {
		make := known[w.Name]
		if make == nil {
			t.Errorf("%s is in the list and not there", w.Name)
			continue
		}
		delete(known, w.Name)
		with := map[string]any{}
		for _, k := range strings.Fields(w.With) {
			with[k] = sample[k]
		}
		if _, err := make(Parts{}, with); err != nil && !errors.Is(err, ErrNotPlayed) {
			t.Errorf("%s: {%s} is refused: %v", w.Name, w.With, err)
		}
		with["nonsense"] = 1
		if _, err := make(Parts{}, with); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%s takes a key of nobody's: %v", w.Name, err)
		}
		if w.Text.ZH == "" || w.Text.EN == "" {
			t.Errorf("%s has no words in both languages", w.Name)
		}
	}
	for name := range known {
		t.Errorf("%s is there and not in the list", name)
	}
}

func TestAFaultThatMakesNoSenseIsRefusedWhenItIsRead(t *testing.T) {
	for with, want := range map[*FaultUse]string{
		{Name: "link.loss"}: "percent",
		{Name: "link.loss", With: map[string]any{"percent": 200}}:                  "up to 100",
		{Name: "link.duplicate", With: map[string]any{"percent": 5, "on": "mqtt"}}: "mqtt.*",
		{Name: "link.delay", With: map[string]any{"percent": 5}}:                   "delay",
		{Name: "link.cut", With: map[string]any{"on": "moon"}}:                     "moon",
		{Name: "influx.slow"}: "delay",
		{Name: "influx.partial", With: map[string]any{"one_of": 1}}: "one_of",
		{Name: "influx.cut", With: map[string]any{"at": "night"}}:   "night",
		{Name: "unit.down"}: "unit",
		{Name: "unit.lying", With: map[string]any{"unit": "micro", "how": "well"}}:        "well",
		{Name: "mqtt.loss", With: map[string]any{"percent": 5, "on": []string{"broker"}}}: "link.*",
		{Name: "serial.unplug", With: map[string]any{"percent": 5}}:                       "percent",
	} {
		if err := checkFault(with); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %v: error is %v, want one that names %s", with.Name, with.With, err, want)
		}
	}
}

func TestALinkFaultIsPutOnTheLinksThatItNamesAndTakenAwayAgain(t *testing.T) {
	all := &links{of: map[string]fault.Link{}}
	defer all.close()
	for _, name := range []string{"mqtt", "unit:micro"} {
		if _, err := all.tcp(name, "127.0.0.1:1", 1); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if all.of["coap"], err = fault.OpenUDP("127.0.0.1:1", 1); err != nil {
		t.Fatal(err)
	}
	conditions := func(name string) (out fault.Conditions) {
		all.of[name].Change(func(c *fault.Conditions) { out = *c })
		return out
	}
	play := func(name string, with map[string]any) Fault {
		t.Helper()
		f, err := BuiltIn()[name](Parts{broken: all}, with)
		if err == nil {
			err = f.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	loss := play("link.loss", map[string]any{"percent": 25, "on": "units"})
	twice := play("link.duplicate", map[string]any{"percent": 50})
	if conditions("unit:micro").Loss != 0.25 || conditions("mqtt").Loss != 0 || conditions("coap").Loss != 0 {
		t.Error("loss is not on the units' links alone")
	}
	if conditions("coap").Duplicate != 0.5 || conditions("mqtt").Duplicate != 0 {
		t.Error("duplicates are not on datagrams alone")
	}
	if err := errors.Join(loss.Stop(t.Context()), twice.Stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	for name := range all.of {
		if c := conditions(name); c != (fault.Conditions{}) {
			t.Errorf("%s is still %+v", name, c)
		}
	}
	if _, err := BuiltIn()["link.loss"](Parts{broken: all}, map[string]any{"percent": 1, "on": "broker"}); !errors.Is(err, ErrNotPlayed) {
		t.Errorf("a link that is not there says %v, want that it is not played", err)
	}
}

func TestAUnitLiesAndIsHonestAgain(t *testing.T) {
	people := simulator.People{}
	f, err := BuiltIn()["unit.lying"](Parts{Behave: func(_ string, change func(*simulator.Behaviour, *simulator.People)) error {
		change(new(simulator.Behaviour), &people)
		return nil
	}}, map[string]any{"unit": "micro"})
	if err != nil || f.Start(t.Context()) != nil || !people.Lies {
		t.Fatalf("its people do not lie (%v)", err)
	}
	if f.Stop(t.Context()) != nil || people.Lies {
		t.Error("its people still lie")
	}
}

// TestABrokerComesBackWithWhatItKeptOrHasForgottenIt restarts a real one.
func TestABrokerComesBackWithWhatItKeptOrHasForgottenIt(t *testing.T) {
	if !hasPeers(t, &Scenario{Gateway: Gateway{Broker: "mosquitto"}}) {
		t.Skip("needs mosquitto")
	}
	w := &own{dir: t.TempDir(), addrs: map[string]string{}, links: links{of: map[string]fault.Link{}}}
	defer w.close()
	var err error
	if w.addrs["broker"], err = freeAddr(); err != nil {
		t.Fatal(err)
	}
	if err := w.openMosquitto(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, keeps := range []bool{true, false} {
		f, err := BuiltIn()["broker.restart"](w.parts(), map[string]any{"persistence": keeps})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(w.parts().BrokerStore); err != nil {
			t.Fatalf("it kept nothing: %v", err)
		}
		if err := f.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(w.parts().BrokerStore); (err == nil) != keeps {
			t.Errorf("persistence %v: its store says %v", keeps, err)
		}
	}
}
