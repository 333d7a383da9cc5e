package gateway_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// wireTime says where the machine's own clock is read under the city's clock, and why: what has
// to do with a wire, a disk or a processor, or is the clock where none was given. Everything else
// asks the city's (docs/decisions/010-two-times.md).
var wireTime = map[string]struct {
	uses int
	why  string
}{
	"internal/api/client.go":              {1, "the pause before a line is opened again"},
	"internal/api/patient.go":             {1, "deadline of a socket"},
	"internal/api/profiles.go":            {1, "deadline of a socket"},
	"internal/api/server.go":              {1, "where no clock was given"},
	"internal/api/session.go":             {1, "the life of a cookie at a browser"},
	"internal/api/stream.go":              {2, "deadline of a socket, heartbeat of a line"},
	"internal/api/visits.go":              {1, "heartbeat of a line"},
	"internal/auth/accounts.go":           {1, "where no clock was given"},
	"internal/auth/vault.go":              {1, "where no clock was given"},
	"internal/bulk/apply.go":              {2, "what a piece takes of the processor"},
	"internal/bulk/files.go":              {1, "age of a file on disk"},
	"internal/bulk/jobs.go":               {2, "where no clock was given"},
	"internal/clock/clock.go":             {10, "the machine's clock itself"},
	"internal/dispatch/attempt.go":        {3, "how long an attempt took; pauses of our own disk"},
	"internal/dispatch/cap.go":            {5, "how long an attempt took; a signature's time, which its receiver compares with its own clock"},
	"internal/dispatch/gbt26875.go":       {4, "how long an attempt took; the pace of a line"},
	"internal/dispatch/lane.go":           {1, "a timer at once"},
	"internal/dispatch/mail.go":           {3, "where no clock was given; how long an attempt took"},
	"internal/dispatch/open311_server.go": {1, "where no clock was given"},
	"internal/dispatch/reach.go":          {4, "how long an attempt took; a date in an answer's header"},
	"internal/dispatch/template_cases.go": {1, "a case of a connector, which is not sent"},
	"internal/dispatch/template_send.go":  {1, "signatures, lives of tokens and turns at other people's services"},
	"internal/dispatch/webhook.go":        {5, "how long an attempt took; a signature's time; a date in an answer's header"},
	"internal/downlink/run.go":            {3, "how long a way waits for its wire; a timer at once"},
	"internal/downlink/try.go":            {1, "pauses of our own disk"},
	"internal/engine/claim.go":            {1, "how often it is looked for what a crash left"},
	"internal/engine/diff.go":             {4, "what a comparison takes of the processor"},
	"internal/engine/loop.go":             {3, "a timer that is set to what the city's clock says; pauses of our own disk"},
	"internal/engine/trial.go":            {2, "what a trial takes of the processor"},
	"internal/gateway/accounts.go":        {1, "how often sessions are looked over"},
	"internal/gateway/audit.go":           {1, "how often the audit's head is told"},
	"internal/gateway/backup.go":          {5, "backups are by the machine's calendar"},
	"internal/gateway/copies.go":          {2, "age of copies, for a second machine"},
	"internal/gateway/follow.go":          {4, "the pace of a second machine"},
	"internal/gateway/upgrade.go":         {1, "when a program was changed"},
	"internal/gateway/stores.go":          {1, "when a program was changed"},
	"internal/gateway/standing.go":        {2, "how often other machines are asked"},
	"internal/gateway/credentials.go":     {1, "how often connections are looked over"},
	"internal/gateway/downlink.go":        {1, "a seed"},
	"internal/gateway/duty.go":            {1, "a timer that is set to what the city's clock says"},
	"internal/gateway/faces.go":           {2, "how often links and limits are looked at"},
	"internal/gateway/gateway.go":         {2, "how long the start took"},
	"internal/gateway/pprof.go":           {1, "deadline of a socket"},
	"internal/gateway/preflight.go":       {4, "the machine's clock is what is checked; what its disk takes"},
	"internal/gateway/privacy.go":         {1, "how often it is looked for what has had its time"},
	"internal/gateway/reload.go":          {1, "when a person changed files of this machine"},
	"internal/gateway/rotate.go":          {3, "certificates end by the machine's calendar"},
	"internal/gateway/simulation.go":      {1, "the city's clock is made of it"},
	"internal/gateway/tls.go":             {6, "certificates end by the machine's calendar"},
	"internal/gateway/tail.go":            {1, "the pace of a second machine"},
	"internal/gateway/tiles.go":           {2, "age of what is kept in memory"},
	"internal/gateway/watchdog.go":        {10, "another machine's watch: its pace, and how long the engine takes"},
	"internal/influx/queue.go":            {1, "where no clock was given"},
	"internal/influx/server.go":           {6, "a child process"},
	"internal/influx/writer.go":           {2, "the pace of a connection"},
	"internal/journal/options.go":         {1, "where no clock was given"},
	"internal/journal/partition.go":       {3, "what a disk takes, and how often it is looked at"},
	"internal/journal/retention.go":       {1, "how often a disk is looked at"},
	"internal/state/run.go":               {1, "how often a disk is looked at"},
}

// underTheCity are the packages whose times are the city's. Those of the wires (broker, coap,
// intake, mqtt, serial) are given the city's clock for what they stamp, and wait by their own.
var underTheCity = []string{
	"alarm", "api", "auth", "bulk", "calendar", "clock", "commission", "contractor", "dispatch", "downlink", "duty", "engine", "evidence",
	"figures", "gateway", "grid", "hazard", "influx", "journal", "label", "people", "record", "registry", "state", "ticket",
}

var clockWords = map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true, "Sleep": true}

func TestNothingUnderTheCitysClockReadsTheMachines(t *testing.T) {
	found := map[string]int{}
	for _, name := range underTheCity {
		files, err := filepath.Glob("../" + name + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("package %s: %d files, %v", name, len(files), err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			file := "internal/" + strings.TrimPrefix(filepath.ToSlash(f), "../")
			uses := machineTimes(t, f)
			if found[file] = len(uses); found[file] > wireTime[file].uses {
				t.Errorf("%s reads the machine's clock %d times, %d are known: want the city's (a *clock.Clock, or a Now that was given), or the reason in this test: %s",
					file, len(uses), wireTime[file].uses, strings.Join(uses, ", "))
			}
		}
	}
	for file, known := range wireTime {
		if found[file] < known.uses {
			t.Errorf("%s reads the machine's clock %d times, %d stand in the table: want that many there", file, found[file], known.uses)
		}
	}
}

// machineTimes finds time.Now and its like in a file, with the line of each.
func machineTimes(t *testing.T, path string) (uses []string) {
	t.Helper()
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if p, ok := s.X.(*ast.Ident); ok && p.Name == "time" && clockWords[s.Sel.Name] {
			uses = append(uses, fmt.Sprintf("time.%s in line %d", s.Sel.Name, fset.Position(s.Pos()).Line))
		}
		return true
	})
	return uses
}
