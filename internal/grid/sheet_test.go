package grid_test

import (
	"testing"

	"gridgate/internal/grid"
)

func TestATextThatASpreadsheetWouldRunIsGuarded(t *testing.T) {
	for _, s := range []string{
		"=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠SUM(1)", " =1", "　=1", "\u202e=1", "\ufeff＝1", "-", "+", "-Inf", "+0x1p2", "=",
		"-1e5", "+86 138", "\n", "-1.",
	} {
		if got := grid.SheetText(s); got != "'"+s {
			t.Errorf("%q is written as %q: want an apostrophe before it", s, got)
		}
		if got := grid.SheetCell(s); got != "'"+s {
			t.Errorf("%q among figures is written as %q: want an apostrophe before it", s, got)
		}
	}
	for _, s := range []string{"", " ", "1+1", "Unit 1", "烟感", "a=b", "'x", "1-2", "≥ 0.95", "#1", "(=1)"} {
		if got := grid.SheetText(s); got != s {
			t.Errorf("%q is written as %q: want it as it is", s, got)
		}
	}
	for _, s := range []string{"-1", "+1.5", "-0.25"} {
		if text, figure := grid.SheetText(s), grid.SheetCell(s); text != "'"+s || figure != s {
			t.Errorf("%q is the text %q and the figure %q", s, text, figure)
		}
	}
}
