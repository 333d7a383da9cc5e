package gateway

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALogFileTurnsOverAndKeepsAsManyAsItShould(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gridgate.log")
	c := LogConfig{Level: "info", Format: "text", File: path, MaxSize: 500, Keep: 2}
	var otherwise bytes.Buffer
	log, err := c.Open(&otherwise)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		log.Info("line", "in", n)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	last := ""
	for _, name := range []string{path + ".2", path + ".1", path} {
		b, err := os.ReadFile(name)
		if err != nil || len(b) > 500 || len(b) == 0 {
			t.Errorf("%s has %d bytes: %v", name, len(b), err)
		}
		last = string(b)
	}
	if _, err := os.Stat(path + ".3"); err == nil {
		t.Error("a third old file is kept")
	}
	if !strings.Contains(last, "in=39") || otherwise.Len() > 0 {
		t.Errorf("newest file ends %q; elsewhere was said %q", last, otherwise.String())
	}
}

func TestALogFileThatWasMovedIsOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gridgate.log")
	log, err := LogConfig{Level: "info", Format: "json", File: path, MaxSize: 1 << 20}.Open(&bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	log.Info("before")
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := log.Reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info("after")
	for name, want := range map[string]string{path + ".moved": "before", path: "after"} {
		if b, err := os.ReadFile(name); err != nil || strings.Count(string(b), "\n") != 1 || !strings.Contains(string(b), want) {
			t.Errorf("%s holds %q: %v", name, b, err)
		}
	}
}
