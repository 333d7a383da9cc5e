package gatetest_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// What somebody tries over HTTP. The table of docs/security.md names these.

// strange are texts that mean something to SQL, InfluxQL, line protocol, spreadsheets, pages and shells.
var strange = []string{
	`x'); DROP TABLE points; --`, `' OR '1'='1`, `a" OR "b"="b`, `p,street=310105999 open=true 1`, `%_%`, `=HYPERLINK("http://evil.example","x")`, `@SUM(1+1)`, `+1-1`,
	`<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `${jndi:ldap://x}`, `{{.}}`, `$(id)`, `＝1+1`, `＋SUM(1)`, `－2+3`, `＠SUM(1)`,
}

func TestAttacksOverHTTP(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	var registry strings.Builder
	registry.WriteString("points:\n")
	for i, s := range strange {
		fmt.Fprintf(&registry, "  - {id: %q, name: %q, address: %q, kind: door, street: \"310105006\"}\n", fmt.Sprintf("p%d %s", i, strings.NewReplacer("/", "", `\`, "").Replace(s)), s, s)
	}
	g.put(t, registry.String())

	t.Run("who has no token, a guess, or one that was revoked comes nowhere", func(t *testing.T) { attackTokens(t, g) })
	t.Run("a text is a text to what keeps and seeks it", func(t *testing.T) { attackTexts(t, g) })
	t.Run("no export has a formula", func(t *testing.T) { attackSheets(t, g) })
	t.Run("no path leads out of its folder, and no redirect out of the gateway", func(t *testing.T) { attackPaths(t, g) })
	t.Run("requests that two readers would read differently are refused", func(t *testing.T) { attackWire(t, g) })
	t.Run("many half requests hinder nobody", func(t *testing.T) { attackSlowly(t, g) })
	if n := len(all[grid.Point](t, g, "points", api.Query{})); n != len(strange) {
		t.Errorf("%d points, want %d", n, len(strange))
	}
	g.balanced(t)
}

// asks sends a request and gives the answer.
func asks(t *testing.T, g *gateway, method, path, token, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.api.URL+path, strings.NewReader(body))
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, res.Header, string(b)
}

// says writes bytes to HTTP's port and gives all that is answered until the gateway closes.
func says(t *testing.T, g *gateway, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.api.URL, "http://"))
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	_, _ = io.WriteString(c, raw)          // it may have closed already
	b, _ := io.ReadAll(bufio.NewReader(c)) // or reset
	return string(b)
}

type document struct {
	Paths map[string]map[string]struct {
		Access string `json:"x-access"`
	} `json:"paths"`
}

var inPath = regexp.MustCompile(`\{[^}]*\}`)

func attackTokens(t *testing.T, g *gateway) {
	made, err := g.api.AddToken(t.Context(), api.TokenAsk{Name: "lost", Role: grid.RoleOperator})
	must(t, err)
	_, err = g.api.RevokeToken(t.Context(), "lost")
	must(t, err)
	doc, err := getJSON[document](t.Context(), g.api.URL+"/openapi.json", "")
	must(t, err)
	tried := 0
	for path, ops := range doc.Paths {
		for method, op := range ops {
			if op.Access == "anyone" {
				continue
			}
			for _, token := range []string{"", "' OR 1=1 --", made.Token, g.api.Token[:len(g.api.Token)-1]} {
				tried++
				if code, _, said := asks(t, g, strings.ToUpper(method), inPath.ReplaceAllString(path, "1"), token, ""); code != http.StatusUnauthorized {
					t.Errorf("%s %s with token %q: %d %.200s", method, path, token, code, said)
				}
			}
			if code, _, _ := asks(t, g, strings.ToUpper(method), inPath.ReplaceAllString(path, "1"), "", "", "Cookie", "gridgate=made-up; __Host-gridgate=made-up"); code != http.StatusUnauthorized {
				t.Errorf("%s %s with a session that is none: %d", method, path, code)
			}
		}
	}
	if tried < 800 {
		t.Errorf("only %d requests: the document names too few routes", tried)
	}
}

func attackTexts(t *testing.T, g *gateway) {
	known := map[string]bool{}
	for _, p := range all[grid.Point](t, g, "points", api.Query{}) {
		known[p.Name] = true
	}
	for _, s := range strange {
		if !known[s] {
			t.Errorf("the name %q is not kept as it was sent", s)
		}
		found := all[grid.Point](t, g, "points", api.Query{Text: s})
		if len(found) != 1 || found[0].Name != s {
			t.Errorf("a search for %q finds %d", s, len(found))
			continue
		}
		if p, err := getJSON[grid.Point](t.Context(), g.api.URL+"/api/v1/points/"+escape(found[0].ID), g.api.Token); err != nil || p.Name != s {
			t.Errorf("the point %q is given as %q: %v", found[0].ID, p.Name, err)
		}
		for _, q := range []string{"cursor", "street", "kind", "state", "cell", "limit", "since"} {
			code, _, said := asks(t, g, http.MethodGet, "/api/v1/points?"+q+"="+escape(s), g.api.Token, "")
			if code >= 500 || code == http.StatusOK && strings.Contains(said, `"id"`) {
				t.Errorf("%s=%q: %d %.100s", q, s, code, said)
			}
		}
		if code, _, said := asks(t, g, http.MethodGet, "/api/v1/points/"+escape(found[0].ID)+"/history?signal="+escape(s), g.api.Token, ""); code != http.StatusUnprocessableEntity && code != http.StatusServiceUnavailable {
			t.Errorf("history of %q: %d %.100s", s, code, said)
		}
	}
}

func escape(s string) string {
	var out strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&out, "%%%02X", s[i])
	}
	return out.String()
}

func attackSheets(t *testing.T, g *gateway) {
	doc, err := getJSON[document](t.Context(), g.api.URL+"/openapi.json", "")
	must(t, err)
	read := 0
	for path := range doc.Paths {
		if strings.Contains(path, "{") {
			continue
		}
		var rows [][]string
		switch at := path; {
		case path == "/api/v1/audit/export":
			rows = csvOf(t, g, at+"?format=csv")
		case strings.HasSuffix(path, ".csv"):
			rows = csvOf(t, g, at)
		case strings.HasSuffix(path, ".xlsx"):
			rows = bookCells(t, g, at)
		}
		if len(rows) > 0 {
			read++
		}
		for _, row := range rows {
			for _, cell := range row {
				if r := []rune(strings.TrimSpace(cell)); len(r) > 0 && strings.ContainsRune("=+-@＝＋－＠", r[0]) && !aNumber.MatchString(cell) {
					t.Errorf("%s: a spreadsheet would run %q", path, cell)
				}
			}
		}
	}
	if read < 15 {
		t.Errorf("only %d sheets were given", read)
	}
}

var aNumber = regexp.MustCompile(`^-?\d+(\.\d+)?%?$`)

// csvOf reads a sheet of CSV; none: it wants more than its path.
func csvOf(t *testing.T, g *gateway, path string) [][]string {
	t.Helper()
	code, _, text := asks(t, g, http.MethodGet, path, g.api.Token, "")
	if code != http.StatusOK {
		return nil
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	must(t, err)
	return rows
}

// bookCells reads all sheets of a workbook. A formula is a cell that begins with its sign.
func bookCells(t *testing.T, g *gateway, path string) (rows [][]string) {
	t.Helper()
	code, _, text := asks(t, g, http.MethodGet, path, g.api.Token, "")
	if code != http.StatusOK {
		return nil
	}
	book, err := excelize.OpenReader(strings.NewReader(text))
	must(t, err)
	defer book.Close()
	for _, sheet := range book.GetSheetList() {
		got, err := book.GetRows(sheet)
		must(t, err)
		for y, row := range got {
			for x := range row {
				at, err := excelize.CoordinatesToCellName(x+1, y+1)
				must(t, err)
				f, err := book.GetCellFormula(sheet, at)
				must(t, err)
				if f != "" {
					t.Errorf("%s: %s of %s is the formula %q", path, at, sheet, f)
				}
			}
		}
		rows = append(rows, got...)
	}
	return rows
}

func attackPaths(t *testing.T, g *gateway) {
	secret := g.api.Token
	host := "\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + g.api.Token + "\r\n\r\n"
	for _, path := range []string{
		"/assets/../../data/token", "/assets/..%2f..%2fdata%2ftoken", "/m/..%2f..%2fdata%2ftoken", "/u/%2e%2e/%2e%2e/data/token", `/assets/..\..\data\token`,
		"/api/v1/evidence/..%2f..%2ftoken", "/api/v1/photos/..%2f..%2ftoken", "/api/v1/imports/..%2f..%2ftoken/problems", "/api/v1/imports/..%2f..%2ftoken/rows",
		"/api/v1/profiles/..%2f..%2fdata%2ftoken", "/api/v1/duty/nights/..%2f..%2ftoken/sheet.pdf", "/api/v1/standby/file?path=../token", "/api/v1/standby/file?path=%2fetc%2fpasswd",
		"//evil.example/%2e%2e", "/m/..//evil.example", "//evil.example/m", `/\evil.example`, "/m?to=//evil.example", "/%2f%2fevil.example/..",
	} {
		said := says(t, g, "GET "+path+" HTTP/1.1"+host)
		if strings.Contains(said, secret) || strings.Contains(said, "root:") {
			t.Errorf("%s gives a file", path)
		}
		if where := regexp.MustCompile(`(?mi)^location: *(.*?)\r?$`).FindStringSubmatch(said); where != nil && !regexp.MustCompile(`^/([^/\\]|$)`).MatchString(where[1]) {
			t.Errorf("%s leads to %s", path, where[1])
		}
		if strings.HasPrefix(said, "HTTP/1.1 5") && !strings.HasPrefix(said, "HTTP/1.1 503") {
			t.Errorf("%s: %.100s", path, said)
		}
	}
	before := files(t, g.dir)
	if code, _, said := asks(t, g, http.MethodPost, "/api/v1/imports?name=..%2f..%2f..%2fevil.csv&dry_run=true", secret, "point_id,point_name,kind\nq,q,door\n", "Content-Type", "application/octet-stream"); code >= 500 {
		t.Errorf("an import of that name: %d %s", code, said)
	}
	for _, to := range []string{"relative", "../up", "data/in", filepath.Join(g.dir, "data")} {
		if code, _, said := asks(t, g, http.MethodPost, "/api/v1/backup", secret, fmt.Sprintf(`{"to":%q}`, to), "Content-Type", "application/json"); code < 400 {
			t.Errorf("a backup to %s: %d %s", to, code, said)
		}
	}
	for f := range files(t, g.dir) {
		if !before[f] && !strings.HasPrefix(f, "data/") {
			t.Errorf("%s was written", f)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(g.dir), "evil.csv")); err == nil {
		t.Error("a file was written outside")
	}
}

// files are all below a folder, but those that come and go.
func files(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, err := filepath.Rel(dir, path)
			out[rel] = err == nil
		}
		return nil
	}))
	return out
}

func attackWire(t *testing.T, g *gateway) {
	for what, raw := range map[string]string{
		"two lengths":             "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
		"a length with a sign":    "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd",
		"an unknown coding":       "POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"a space before a colon":  "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nabcd",
		"two hosts":               "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"no host":                 "GET /healthz HTTP/1.1\r\n\r\n",
		"a line break in a value": "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
	} {
		if said := says(t, g, raw); !strings.HasPrefix(said, "HTTP/1.1 400") && !strings.HasPrefix(said, "HTTP/1.1 501") {
			t.Errorf("%s: %.100s", what, said)
		}
	}
	for _, method := range []string{"TRACE", "CONNECT", "OPTIONS", "PUT", "PROPFIND", "get"} {
		if code, _, said := asks(t, g, method, "/api/v1/points", g.api.Token, "", "X-HTTP-Method-Override", "GET"); code < 400 {
			t.Errorf("%s: %d %.100s", method, code, said)
		}
	}
	for _, path := range []string{"/", "/m/", "/u/", "/healthz", "/openapi.json", "/api/v1/points", "/api/v1/exports/points.csv"} {
		_, h, _ := asks(t, g, http.MethodGet, path, g.api.Token, "")
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") && !strings.Contains(csp, "frame-ancestors 'self'") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be framed or guessed at: %v", path, h)
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be read by other origins", path)
		}
	}
}

func attackSlowly(t *testing.T, g *gateway) {
	for range 400 {
		c, err := net.Dial("tcp", strings.TrimPrefix(g.api.URL, "http://"))
		must(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow:")
		must(t, err)
	}
	if code, _, _ := asks(t, g, http.MethodGet, "/api/v1/points?limit=1", g.api.Token, ""); code != http.StatusOK {
		t.Errorf("who asks beside 400 half requests: %d", code)
	}
}
