package verdict

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
	Out        string          `xml:"system-out,omitempty"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure,omitempty"`
	Skipped *junitProblem `xml:"skipped,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes verdicts as JUnit XML: a suite a scenario, a case an expectation.
func WriteJUnit(w io.Writer, results ...Result) error {
	all := junitSuites{Name: "gridsim"}
	var took time.Duration
	for i := range results {
		s := suiteOf(&results[i])
		all.Tests, all.Failures, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Skipped+s.Skipped
		took += results[i].Took
		all.Suites = append(all.Suites, s)
	}
	all.Time = seconds(took)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func suiteOf(r *Result) junitSuite {
	s := junitSuite{Name: r.Scenario, Time: seconds(r.Took), Timestamp: r.Began.UTC().Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{{"seed", fmt.Sprint(r.Seed)}, {"speed", fmt.Sprint(r.Speed)}, {"gateway", r.Gateway}, {"version", r.Version}},
		Out:        clean(fmt.Sprintf("%s\nledger %+v\nlatencies %+v", r.Summary(), r.Ledger, r.Latencies))}
	each := seconds(r.Took / time.Duration(max(len(r.Expectations), 1)))
	for _, e := range r.Expectations {
		c := junitCase{Class: "gridsim." + r.Scenario, Name: e.ID + ": " + clean(e.Words.EN), Time: each}
		switch e.Outcome {
		case NotMet:
			c.Failure = &junitProblem{clean(e.Said.EN), clean("wanted " + e.Wish + "\n" + rows(e.Against))}
		case NotPlayed:
			c.Skipped = &junitProblem{Message: clean(e.Said.EN)}
		}
		s.add(c)
	}
	for _, t := range r.Trouble {
		s.add(junitCase{Class: "gridsim." + r.Scenario, Name: "played as written", Time: "0", Failure: &junitProblem{Message: clean(t)}})
	}
	return s
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Skipped != nil {
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func rows(all []Row) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "%s %s %s\n", r.At.Format(time.DateTime), r.ID, r.Text)
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// clean drops what XML 1.0 cannot hold.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, s)
}
