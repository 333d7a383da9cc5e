package gatetest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// forged is what somebody writes who wants a line of his own in a log, a cell, a header or a paper.
const forged = "x\r\ntime=2026-01-01T00:00:00.000Z level=ERROR msg=\"forged line\" err=none\n{\"forged\":\"line\"}\r\n\u2028=cmd|' /C calc'!A1\x1b[2J\u202eenil"

// wholeLine is what each line of the log begins with, beside what is printed at the start.
var wholeLine = regexp.MustCompile(`^(time=\S+ level=|gridgate |  +|$)`)

func TestWordsOfPeopleForgeNoLineOfLogAuditSheetOrPaper(t *testing.T) {
	g := newGateway(t, "auth: {plain_http: true}", "log: {level: debug}")
	trustHere(t, g)
	g.start(t)
	g.put(t, smokeRegistry)
	connect(t, g.broker).send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))
	var a grid.Alarm
	eventually(t, 20*time.Second, "the alarm with its ticket", func() error {
		for _, a = range all[grid.Alarm](t, g, "alarms", api.Query{Point: "ceiling-1"}) {
			if a.Ticket != "" {
				return nil
			}
		}
		return fmt.Errorf("none")
	})
	text, err := json.Marshal(forged)
	must(t, err)
	said := map[string]int{}
	for path, body := range map[string]string{
		"POST /session":                             `{"name":` + string(text) + `,"password":` + string(text) + `}`,
		"POST /alarms/" + a.ID + "/comment":         `{"comment":` + string(text) + `,"by":{"name":` + string(text) + `,"role":"operator"}}`,
		"POST /tickets/" + a.Ticket + "/moves":      `{"verb":"note","reason":` + string(text) + `}`,
		"POST /points/ceiling-1/notes":              `{"text":` + string(text) + `}`,
		"POST /devices/eui:0267000100000001/notes":  `{"text":` + string(text) + `}`,
		"POST /windows":                             `{"kind":"maintenance","points":["ceiling-1"],"for":"1h","session":` + string(text) + `,"reason":` + string(text) + `,"by":{"name":` + string(text) + `,"role":"supervisor"}}`,
		"POST /events":                              `{"type":"smoke.alarm","source":"hotline","external":"H-1","point":"ceiling-1","text":` + string(text) + `}`,
		"POST /hazards":                             `{"kind":"exit_blocked","source":"patrol","external":"P-1","place":` + string(text) + `,"text":` + string(text) + `}`,
		"POST /handovers":                           `{"remark":` + string(text) + `,"by":{"name":` + string(text) + `,"role":"operator"}}`,
		"POST /posture":                             `{"posture":"typhoon","for":"1h","reason":` + string(text) + `,"by":{"name":` + string(text) + `,"role":"supervisor"}}`,
		"POST /quarantine/discard":                  `{"ids":[` + string(text) + `],"reason":` + string(text) + `}`,
		"GET /points/" + escape(forged):             ``,
		"GET /oidc/" + escape(forged) + "/callback": ``, // which the log tells of
		"GET /" + escape(forged):                    ``,
	} {
		method, path, _ := strings.Cut(path, " ")
		if !strings.HasPrefix(path, "/%") {
			path = "/api/v1" + path
		}
		code, head, answer := asks(t, g, method, path, g.api.Token, body, "Content-Type", "application/json", "X-Forwarded-For", "203.0.113.9, forged", "User-Agent", "forged\tline")
		said[path] = code
		if code >= 500 {
			t.Errorf("%s: %d %.300s", path, code, answer)
		}
		for name := range head {
			if strings.Contains(strings.ToLower(name), "forged") {
				t.Errorf("%s: a word has become the header %s", path, name)
			}
		}
	}
	taken := 0
	for path, code := range said {
		if code < 300 {
			taken++
		} else {
			t.Log(path, code)
		}
	}
	if taken < 6 {
		t.Errorf("only %d of %d were taken: %v", taken, len(said), said)
	}
	moves, err := getJSON[api.Page[grid.MoveRecord]](t.Context(), g.api.URL+"/api/v1/tickets/"+a.Ticket+"/moves", g.api.Token)
	must(t, err)
	for _, m := range moves.Items {
		if m.Verb == "note" && m.Reason != forged {
			t.Errorf("a reason comes back as %q", m.Reason)
		}
	}
	forgedSheets(t, g)
	forgedPapers(t, g, a.Ticket)
	for _, line := range strings.Split(g.Output(t), "\n") {
		if !wholeLine.MatchString(line) || strings.HasPrefix(line, "time=2026-01-01T00:00:00.000Z") || strings.ContainsAny(line, "\r\x1b\u2028\u202e") {
			t.Errorf("a line of the log is forged: %q", line)
		}
	}
}

// forgedSheets: each line of the audit is one entry, and no cell of it runs.
func forgedSheets(t *testing.T, g *gateway) {
	code, _, lines := asks(t, g, http.MethodGet, "/api/v1/audit/export", g.api.Token, "")
	if code != http.StatusOK {
		t.Fatalf("the audit: %d %s", code, lines)
	}
	entries := 0
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		var e struct {
			N    uint64
			Hash string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Hash == "" {
			t.Errorf("a line of the audit is none: %v: %.200s", err, line)
		}
		entries++
	}
	rows := csvOf(t, g, "/api/v1/audit/export?format=csv")
	if len(rows) != entries+2 { // the head, and the export before
		t.Errorf("%d rows of %d entries", len(rows), entries)
	}
	for i, row := range rows {
		if i > 0 && row[0] != fmt.Sprint(i) {
			t.Errorf("row %d of the audit is %q", i, row)
		}
	}
	g.gridgate(t, "audit", "verify")
}

// forgedPapers: what a reader of PDF finds is text, and nothing that he would do.
func forgedPapers(t *testing.T, g *gateway, ticket string) {
	papers := 0
	for path, body := range map[string]string{"/labels": `{"points":["ceiling-1"]}`, "/duty/sheet.pdf": `{"street":"310105006","reason":"(x) /JS (y)","by":{"name":"(x) Tj ET /JS"}}`} {
		code, head, file := asks(t, g, http.MethodPost, "/api/v1"+path, g.api.Token, body, "Content-Type", "application/json")
		if code != http.StatusOK || head.Get("Content-Type") != "application/pdf" {
			t.Logf("%s: %d %.200s", path, code, file)
			continue
		}
		papers++
		for _, does := range []string{"/JavaScript", "/JS", "/OpenAction", "/Launch", "/URI", "/EmbeddedFile"} {
			if strings.Contains(file, does) {
				t.Errorf("%s has %s", path, does)
			}
		}
		if tool, err := exec.LookPath("pdftotext"); err == nil {
			at := filepath.Join(t.TempDir(), "paper.pdf")
			must(t, os.WriteFile(at, []byte(file), 0o600))
			out, err := exec.CommandContext(t.Context(), tool, at, "-").CombinedOutput()
			if err != nil || bytes.Contains(out, []byte("Syntax Error")) {
				t.Errorf("%s is no PDF: %v %.300s", path, err, out)
			}
		}
	}
	if papers == 0 {
		t.Errorf("no paper was made of ticket %s", ticket)
	}
}
