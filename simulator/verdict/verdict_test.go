package verdict

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"
)

func sample() Result {
	from := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	r := Result{Scenario: "day", Name: Text{"一天", "a day <b>"}, From: from, To: from.Add(time.Hour), Speed: 60, Expectations: []Expectation{
		{ID: "a", Words: Text{"有", "there"}, Outcome: Met, Evidence: []Row{{ID: "1", At: from.Add(time.Minute), Text: "smoke.alarm"}}},
		{ID: "b", Words: Text{"无", "not <there>"}, Outcome: NotMet, Said: Text{"找到 2 条", "2 found"}},
		{ID: "c", Words: Text{"未", "unplayed"}, Outcome: NotPlayed},
	}, Marks: []Mark{{Lane: LaneAlarms, At: from.Add(time.Minute), Until: from.Add(2 * time.Minute), Kind: "P1", Text: Text{"<烟>", "<smoke>"}},
		{Lane: LaneUnits, Who: "fire", At: from.Add(time.Minute), Kind: "accept", Text: Text{"接", "takes"}}}}
	r.Judge()
	return r
}

func TestOneExpectationThatIsNotMetMakesTheWholeNotMet(t *testing.T) {
	r := sample()
	if r.Outcome != NotMet || r.ExitCode() != ExitNotMet {
		t.Errorf("%s, exit %d: want not met, 4", r.Outcome, r.ExitCode())
	}
	r.Expectations[1].Outcome = Met
	if r.Judge(); r.ExitCode() != ExitMet {
		t.Errorf("%s: want met, what was not played says nothing", r.Outcome)
	}
	r.Trouble = []string{"a step that could not be done"}
	if r.Judge(); r.ExitCode() != ExitNotMet {
		t.Errorf("%s: want not met, it was not played as written", r.Outcome)
	}
}

func TestJUnitHasACaseForEachExpectation(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJUnit(&b, sample(), sample()); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	if got.Tests != 6 || got.Failures != 2 || got.Skipped != 2 || len(got.Suites) != 2 || got.Suites[0].Cases[1].Failure.Message != "2 found" {
		t.Errorf("%+v: want 2 suites of 3 cases, one failed and one skipped each", got)
	}
}

func TestThePageIsWholeAndAsksNothingOfTheNetwork(t *testing.T) {
	var b bytes.Buffer
	if err := WriteHTML(&b, sample()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"一天", "a day &lt;b&gt;", "&lt;smoke&gt;", "不符合预期", "default-src 'none'"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"http://", "https://", "<link", "src=", "@import", "url(", "<smoke>", "ZgotmplZ"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	i, j := strings.Index(page, "<svg"), strings.Index(page, "</svg>")
	for dec := xml.NewDecoder(strings.NewReader(page[i : j+6])); ; {
		if _, err := dec.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
	}
}

func TestALatencyIsCountedFromWhenItWasDue(t *testing.T) {
	c := NewClockwork("ack", Text{"确认", "acknowledged"})
	due := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for i := range 100 {
		// Nothing goes through for a second; who was due in it waits for its rest.
		c.Took(due.Add(time.Duration(i)*10*time.Millisecond), due.Add(time.Second))
	}
	if l := c.Latency(); l.Count != 100 || l.P50 < 480 || l.P50 > 520 || l.Max < 990 {
		t.Errorf("%+v: want half a second in the middle and a second at most", l)
	}
}

func TestTheIndexLeadsToEachPageAndSaysWhatCouldNotBePlayed(t *testing.T) {
	var b bytes.Buffer
	met := sample()
	met.Scenario, met.Expectations = "calm", met.Expectations[:1]
	met.Judge()
	met.Before = []Attempt{{Speed: 120, Late: time.Second, NotMet: []string{"a"}}}
	if err := WriteIndex(&b, []string{"storm: no <broker>"}, sample(), met); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{`href="day.html"`, `href="calm.html"`, "2 not as expected", "storm: no &lt;broker&gt;", "<b>2</b> / <b>4</b>", "played again, slower", "1/3"} {
		if !strings.Contains(page, want) {
			t.Errorf("the index lacks %q", want)
		}
	}
	if strings.Contains(page, "http://") || strings.Contains(page, "https://") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the index names an address, or a value was refused")
	}
}

func TestAPageSaysThatItWasPlayedBefore(t *testing.T) {
	var b bytes.Buffer
	r := sample()
	r.Before = []Attempt{{Speed: 120, Late: 812 * time.Millisecond, NotMet: []string{"brigade"}}}
	if err := WriteHTML(&b, r); err != nil || !strings.Contains(b.String(), "First played at 120×: this machine was late by up to 812ms") {
		t.Errorf("%v: the page does not say that it was played before", err)
	}
	if !strings.Contains(r.Summary(), "brigade") {
		t.Error("the summary does not say what was not met before")
	}
}
