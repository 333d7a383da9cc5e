package profile_test

import (
	"os"
	"regexp"
	"testing"
	"testing/fstest"

	"gridgate/internal/profile"
)

func TestExampleOfTheDocsPassesLint(t *testing.T) {
	page, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("got %d yaml blocks: want the profile and its cases", len(blocks))
	}
	fsys := fstest.MapFS{
		"acme/door7/profile.yaml": {Data: blocks[0][1]},
		"acme/door7/cases.yaml":   {Data: blocks[1][1]},
	}
	for _, err := range profile.Lint(fsys, "acme/door7") {
		t.Error(err)
	}
}
