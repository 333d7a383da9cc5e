package figures_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"gridgate/configs"
	"gridgate/internal/figures"
)

func TestAFileOfFiguresIsReadStrictly(t *testing.T) {
	good := string(must[[]byte](t)(configs.FS.ReadFile("figures.yaml")))
	for _, c := range []struct{ old, new, want string }{
		{"operators: 3", "operators: 0", "operators: want 1 or more"},
		{"operators: 3", "operaters: 3", "operaters"},
		{"  closing: {at_least: 0.98}", "  closing: {at_least: 0.98, at_most: 1}", "targets.closing: want one of at_least and at_most"},
		{"  closing: {at_least: 0.98}", "  closure: {at_least: 0.98}", `targets: "closure" is no figure: want one of`},
		{"  smoke: {at_most: 0.20}", "  smog: {at_most: 0.20}", "false_alarms: kind is \"smog\""},
		{"window: 10m", "window: 7m", "flood: want a window that divides an hour"},
		{"  share: 0.05", "  share: 5", "hotspots.share: want a share from 0 to 1"},
		{"  one_kind: 3", "  one_kind: 0", "hotspots: want one_kind"},
		{"acceptable: 6", "acceptable: 60", "load: want acceptable, manageable above it"},
		{"  silent: [device.offline]", "  silent: []", "sensors: want event types"},
		{"influx_days: 7", "influx_days: 700", "influx_days: want 0 to 60"},
	} {
		changed := strings.Replace(good, c.old, c.new, 1)
		if changed == good {
			t.Fatalf("%q is not in the file", c.old)
		}
		if _, err := figures.Parse("f.yaml", []byte(changed), calendars(t)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "f.yaml") {
			t.Errorf("%q: error %v, want one with %q", c.new, err, c.want)
		}
	}
}

// docs/figures.md has each formula in one line, as the board shows it.
func TestTheDocsHaveEveryFormula(t *testing.T) {
	doc := string(must[[]byte](t)(os.ReadFile("../../docs/figures.md")))
	b := must[figures.Board](t)(builtIn(t).Board(t.Context(), &rows{}, figures.Ask{}, at(t, "11-22 00:00")))
	for _, f := range b.Whole.Figures {
		line := regexp.MustCompile(`(?m)^\| ` + "`" + f.Key + "`" + ` \| ` + regexp.QuoteMeta(f.ZH) + ` \| ` + regexp.QuoteMeta(f.Formula) + ` \|`)
		if !line.MatchString(doc) {
			t.Errorf("docs/figures.md has no line\n| `%s` | %s | %s |", f.Key, f.ZH, f.Formula)
		}
	}
}
