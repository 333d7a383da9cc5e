package dispatch_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The rules of CAP 1.2 (OASIS, 1 July 2010): section 3.2 and its schema in 3.4, as far as
// gridgate's messages reach. Written against the text of the standard.

// capRule is a child element: how often it may stand, and what may stand in it.
type capRule struct {
	name     string
	min, max int // max 0: any number
	ok       func(string) bool
	children []capRule
}

func oneOf(words string) func(string) bool {
	return func(s string) bool { return slices.Contains(strings.Fields(words), s) }
}

func like(pattern string) func(string) bool {
	return regexp.MustCompile("^(?:" + pattern + ")$").MatchString
}

var (
	someText  = func(s string) bool { return strings.TrimSpace(s) != "" }
	capMoment = func(s string) bool {
		_, err := time.Parse("2006-01-02T15:04:05-07:00", s)
		return err == nil && !strings.HasSuffix(s, "Z")
	}
	capName  = like(`[^\s,<&]+`)
	capPair  = `-?\d{1,2}(\.\d+)?,-?\d{1,3}(\.\d+)?`
	capRules = []capRule{
		{"identifier", 1, 1, capName, nil},
		{"sender", 1, 1, capName, nil},
		{"sent", 1, 1, capMoment, nil},
		{"status", 1, 1, oneOf("Actual Exercise System Test Draft"), nil},
		{"msgType", 1, 1, oneOf("Alert Update Cancel Ack Error"), nil},
		{"source", 0, 1, someText, nil},
		{"scope", 1, 1, oneOf("Public Restricted Private"), nil},
		{"restriction", 0, 1, someText, nil},
		{"addresses", 0, 1, someText, nil},
		{"code", 0, 0, someText, nil},
		{"note", 0, 1, someText, nil},
		{"references", 0, 1, like(`[^\s,<&]+,[^\s,<&]+,\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d( [^\s,<&]+,[^\s,<&]+,\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d)*`), nil},
		{"incidents", 0, 1, someText, nil},
		{"info", 0, 0, nil, infoRules},
	}
	infoRules = []capRule{
		{"language", 0, 1, like(`[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*`), nil},
		{"category", 1, 0, oneOf("Geo Met Safety Security Rescue Fire Health Env Transport Infra CBRNE Other"), nil},
		{"event", 1, 1, someText, nil},
		{"responseType", 0, 0, oneOf("Shelter Evacuate Prepare Execute Avoid Monitor Assess AllClear None"), nil},
		{"urgency", 1, 1, oneOf("Immediate Expected Future Past Unknown"), nil},
		{"severity", 1, 1, oneOf("Extreme Severe Moderate Minor Unknown"), nil},
		{"certainty", 1, 1, oneOf("Observed Likely Possible Unlikely Unknown"), nil},
		{"audience", 0, 1, someText, nil},
		{"eventCode", 0, 0, nil, pairRules},
		{"effective", 0, 1, capMoment, nil},
		{"onset", 0, 1, capMoment, nil},
		{"expires", 0, 1, capMoment, nil},
		{"senderName", 0, 1, someText, nil},
		{"headline", 0, 1, someText, nil},
		{"description", 0, 1, someText, nil},
		{"instruction", 0, 1, someText, nil},
		{"web", 0, 1, like(`https?://\S+`), nil},
		{"contact", 0, 1, someText, nil},
		{"parameter", 0, 0, nil, pairRules},
		{"area", 0, 0, nil, areaRules},
	}
	areaRules = []capRule{
		{"areaDesc", 1, 1, someText, nil},
		{"polygon", 0, 0, func(s string) bool {
			p := strings.Fields(s)
			return len(p) >= 4 && p[0] == p[len(p)-1] && !slices.ContainsFunc(p, func(s string) bool { return !like(capPair)(s) })
		}, nil},
		{"circle", 0, 0, like(capPair + ` \d+(\.\d+)?`), nil},
		{"geocode", 0, 0, nil, pairRules},
	}
	pairRules = []capRule{{"valueName", 1, 1, someText, nil}, {"value", 1, 1, someText, nil}}
)

type capNode struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []capNode `xml:",any"`
}

func (n *capNode) all(path ...string) (out []string) {
	if len(path) == 0 {
		return []string{n.Text}
	}
	for i := range n.Children {
		if n.Children[i].XMLName.Local == path[0] {
			out = append(out, n.Children[i].all(path[1:]...)...)
		}
	}
	return out
}

func (n *capNode) text(path ...string) string { return strings.Join(n.all(path...), "|") }

// checkCAP gives what is wrong with an alert.
func checkCAP(raw []byte) (root capNode, wrong []string) {
	d := xml.NewDecoder(strings.NewReader(string(raw)))
	if err := d.Decode(&root); err != nil {
		return root, []string{err.Error()}
	}
	if _, err := d.Token(); err != io.EOF {
		wrong = append(wrong, "something stands behind the alert")
	}
	if root.XMLName != (xml.Name{Space: "urn:oasis:names:tc:emergency:cap:1.2", Local: "alert"}) {
		wrong = append(wrong, fmt.Sprint("root is ", root.XMLName))
	}
	wrong = append(wrong, checkNode(&root, capRules, "alert")...)
	if (root.text("scope") == "Restricted") != (root.text("restriction") != "") {
		wrong = append(wrong, "scope Restricted and restriction do not go together")
	}
	if root.text("scope") == "Private" && root.text("addresses") == "" {
		wrong = append(wrong, "scope Private has no addresses")
	}
	if slices.Contains([]string{"Update", "Cancel", "Ack", "Error"}, root.text("msgType")) && root.text("references") == "" {
		wrong = append(wrong, root.text("msgType")+" refers to nothing")
	}
	return root, wrong
}

func checkNode(n *capNode, rules []capRule, path string) (wrong []string) {
	last, count := 0, map[string]int{}
	for i := range n.Children {
		c := &n.Children[i]
		at := slices.IndexFunc(rules, func(r capRule) bool { return r.name == c.XMLName.Local })
		where := path + "/" + c.XMLName.Local
		switch {
		case at < 0 || c.XMLName.Space != "urn:oasis:names:tc:emergency:cap:1.2":
			wrong = append(wrong, where+" is no element of CAP")
			continue
		case at < last:
			wrong = append(wrong, where+" stands too late")
		}
		last = max(last, at)
		count[c.XMLName.Local]++
		if r := rules[at]; r.children != nil {
			wrong = append(wrong, checkNode(c, r.children, where)...)
		} else if !r.ok(c.Text) || len(c.Children) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s is %q", where, c.Text))
		}
	}
	for _, r := range rules {
		if n := count[r.name]; n < r.min || r.max > 0 && n > r.max {
			wrong = append(wrong, fmt.Sprintf("%s has %s %d times", path, r.name, n))
		}
	}
	return wrong
}

// validCAP fails the test if raw breaks a rule.
func validCAP(t *testing.T, raw []byte) capNode {
	t.Helper()
	root, wrong := checkCAP(raw)
	if len(wrong) > 0 {
		t.Errorf("not CAP 1.2: %s\n%s", strings.Join(wrong, "; "), raw)
	}
	return root
}

// The checker itself can fail.
func TestCAPCheckerFindsWhatIsWrong(t *testing.T) {
	good := string(alertOf(t, delivered("D1", "ticket.opened"), nil))
	if _, wrong := checkCAP([]byte(good)); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for _, change := range [][2]string{
		{"<status>Test</status>", "<status>Live</status>"},
		{"<identifier>D1</identifier>", "<identifier>D 1</identifier>"},
		{"+08:00</sent>", "Z</sent>"},
		{"<restriction>units that handle the ticket</restriction>", ""},
		{"<msgType>Alert</msgType>", "<msgType>Update</msgType>"},
		{"<category>Fire</category>", "<category>Smoke</category>"},
		{"<urgency>Immediate</urgency>", ""},
		{"<language>en</language>", "<event>x</event>"},
		{"0.05</circle>", "</circle>"},
		{"<areaDesc>", "<areaDesc/><areaDesc>"},
		{"cap:1.2", "cap:1.1"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Errorf("%q does not stand in the alert", change[0])
		}
		if _, wrong := checkCAP([]byte(bad)); len(wrong) == 0 {
			t.Errorf("%q in place of %q is not found", change[1], change[0])
		}
	}
}
