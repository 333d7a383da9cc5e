package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/journal"
	"gridgate/internal/state"
)

// outcome is what a run led to, told without the identifiers and journal positions that
// rightly differ between two runs.
type outcome struct {
	facts      map[string]string // one line about each thing
	lines      map[string]bool   // points for InfluxDB
	linesInAll int               // with those that are there twice
	ledger     map[grid.Outcome]int64
	copies     map[string]int // frames in the journal, by what their device said
}

// outcomeOf reads what a stopped node has left.
func outcomeOf(t testing.TB, dir, delivered string, live map[string]string) outcome {
	t.Helper()
	got := map[string]int{}
	if raw, err := os.ReadFile(delivered); err == nil {
		for id := range strings.Lines(string(raw)) {
			got[strings.TrimSpace(id)]++
		}
	}
	return outcomeOn(t, disk.Machine{}, dir, dir, got, live)
}

// outcomeOn is outcomeOf where journal and queue lie in a folder of another disk; delivered
// says how often each delivery reached its unit.
func outcomeOn(t testing.TB, files disk.FS, at, dir string, delivered map[string]int, live map[string]string) outcome {
	t.Helper()
	ctx := context.Background()
	st := must[*state.Store](t)(state.OpenReadOnly(ctx, filepath.Join(dir, "state.db"), nil))
	defer st.Close()
	out := outcome{facts: map[string]string{}, lines: map[string]bool{}, ledger: map[grid.Outcome]int64{}, copies: map[string]int{}}
	maps.Copy(out.facts, live)
	names := out.alarms(t, st)
	out.windows(t, st, names)
	tickets := out.tickets(t, st)
	out.hazards(t, st, tickets)
	about := maps.Clone(tickets)
	maps.Copy(about, names) // the question of a permit is of an alarm
	out.incidents(t, st, names, tickets)
	out.deliveries(t, st, delivered, about)
	count := map[string]int{}
	for _, e := range everything(t, st.ListEvents) {
		count[fmt.Sprintf("events %s%s %s %s", e.Point, whereNot(e.Point, e.Device), e.Type, e.Action)]++
		if e.Alarm != "" && names[e.Alarm] == "" {
			t.Errorf("event %s tells of alarm %s, which is not there", e.ID, e.Alarm)
		}
	}
	for k, n := range count {
		out.facts[k] = fmt.Sprint(n)
	}
	for _, q := range everything(t, st.ListQuarantine) {
		out.facts[fmt.Sprintf("quarantine %s %q %s", q.Frame.Identity, q.Frame.Raw, q.Channel)] = fmt.Sprintf("%s %s", q.Reason, q.State)
	}
	out.steps(t, st)
	out.downlinks(t, st)
	p := must[state.Progress](t)(st.Progress(ctx))
	for _, row := range p.Ledger {
		for o, n := range row.Counts {
			out.ledger[grid.Outcome(o)] += n
		}
	}
	out.journal(t, files, at, p)
	out.queue(t, files, at, influx.Mark(p.InfluxMark))
	return out
}

func everything[T any](t testing.TB, list func(context.Context, state.Query) (state.Page[T], error)) (all []T) {
	t.Helper()
	for q := (state.Query{Limit: 1000}); ; {
		page := must[state.Page[T]](t)(list(context.Background(), q))
		all = append(all, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			slices.Reverse(all) // oldest first
			return all
		}
	}
}

func whereNot(point string, device grid.Identity) string {
	if point != "" {
		return ""
	}
	return string(device)
}

// nth names the things of a kind in the order in which they came.
type nth map[string]int

func (n nth) name(what string) string {
	n[what]++
	return fmt.Sprintf("%s #%d", what, n[what])
}

func (o *outcome) alarms(t testing.TB, st *state.Store) map[string]string {
	names, count := map[string]string{}, nth{}
	all := everything(t, st.ListAlarms)
	slices.SortStableFunc(all, func(a, b grid.Alarm) int {
		switch {
		case !a.Raised.Equal(b.Raised):
			return a.Raised.Compare(b.Raised)
		case a.ID == b.Previous:
			return -1
		case b.ID == a.Previous:
			return 1
		}
		return cmp.Or(cmp.Compare(a.Point, b.Point), cmp.Compare(a.Type, b.Type))
	})
	for _, a := range all {
		names[a.ID] = count.name(fmt.Sprintf("alarm %s%s %s", a.Point, whereNot(a.Point, a.Device), a.Type))
		o.facts[names[a.ID]] = fmt.Sprintf("P%d active %v acked %v raised %s at %s returned %s count %d late %v after %q ticket %v",
			a.Priority, a.Active, a.Acked, clockOf(a.Raised), clockOf(a.At), clockOf(a.Returned), a.Count, a.Late, names[a.Previous], a.Ticket != "")
	}
	return names
}

func clockOf(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("02 15:04:05")
}

func (o *outcome) tickets(t testing.TB, st *state.Store) map[string]string {
	names, count := map[string]string{}, nth{}
	for _, tk := range everything(t, st.ListTickets) {
		names[tk.ID] = count.name(fmt.Sprintf("ticket %s%s %s", tk.Point, whereNot(tk.Point, tk.Device), tk.Type))
		var parts []string
		for _, a := range tk.Assignments {
			parts = append(parts, fmt.Sprintf("%s lead %v tier %d %s", a.Unit, a.Lead, a.Tier, a.State))
		}
		moves := must[[]grid.MoveRecord](t)(st.Moves(context.Background(), tk.ID))
		var verbs []string
		for _, m := range moves {
			verbs = append(verbs, fmt.Sprintf("%s %s→%s %s", m.Verb, m.From, m.To, clockOf(m.At)))
		}
		o.facts[names[tk.ID]] = fmt.Sprintf("%s %s %s P%d rework %d tier %d opened %s [%s] moves %d [%s] evidence %d",
			tk.State, tk.Verification, worksOn(&tk), tk.Priority, tk.Rework, tk.Tier, clockOf(tk.Opened), strings.Join(parts, ", "), len(moves), strings.Join(verbs, ", "), len(must[[]state.Evidence](t)(st.EvidenceOf(context.Background(), tk.ID))))
	}
	return names
}

// worksOn tells who belongs to a ticket, what stands in its way, and what people must do.
func worksOn(tk *grid.Ticket) string {
	var members, tasks []string
	for _, m := range tk.Members {
		members = append(members, m.Point)
	}
	for _, m := range tk.Related {
		members = append(members, "in the way: "+m.Point)
	}
	for _, k := range tk.Tasks {
		tasks = append(tasks, fmt.Sprintf("%s %s %s done %s by %s", k.Kind, k.Unit, clockOf(k.Opened), clockOf(k.Done), k.By.Name))
	}
	slices.Sort(members)
	return fmt.Sprintf("(%s; %s; suspect %v)", strings.Join(members, ", "), strings.Join(tasks, ", "), tk.Suspect != "")
}

// incidents compares them, and looks whether what they count is there.
func (o *outcome) incidents(t testing.TB, st *state.Store, alarms, tickets map[string]string) {
	count := nth{}
	members, active := map[string][]string{}, map[string]int{}
	for _, a := range everything(t, st.ListAlarms) {
		if a.Incident == "" {
			continue
		}
		members[a.Incident] = append(members[a.Incident], alarms[a.ID])
		if a.Active {
			active[a.Incident]++
		}
	}
	all := everything(t, st.ListIncidents)
	slices.SortStableFunc(all, func(a, b grid.Incident) int { return a.Opened.Compare(b.Opened) })
	for _, in := range all {
		slices.Sort(members[in.ID])
		name := count.name(fmt.Sprintf("incident %s at %s", in.Cause, in.Place))
		o.facts[name] = fmt.Sprintf("%s P%d opened %s ended %s confirmed %s members %d active %d related %d of %s: %s",
			in.Type, in.Priority, clockOf(in.Opened), clockOf(in.Ended), clockOf(in.Confirmed), in.Members, in.Active, len(in.Related), tickets[in.Ticket], strings.Join(members[in.ID], ", "))
		if in.Active != active[in.ID] {
			t.Errorf("%s counts %d active members, there are %d", name, in.Active, active[in.ID])
		}
	}
}

// deliveries counts them by ticket, unit and type, and compares what the state says with
// what the units got: each attempt that was recorded reached its unit, and no unit got
// what the state does not know.
func (o *outcome) deliveries(t testing.TB, st *state.Store, delivered map[string]int, tickets map[string]string) {
	got := maps.Clone(delivered)
	count := nth{}
	all := everything(t, st.ListDeliveries)
	slices.SortStableFunc(all, func(a, b grid.Delivery) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.N, b.N)) })
	for _, d := range all {
		name := count.name(fmt.Sprintf("delivery of %s to %s: %s", tickets[d.Ticket], d.Unit, d.Type))
		if tickets[d.Ticket] == "" {
			t.Errorf("delivery %s is of ticket %s, which is not there", d.ID, d.Ticket)
		}
		o.facts[name] = fmt.Sprintf("n %d %s attempts %d made %s done %s ref %v", d.N, d.State, d.Attempts, clockOf(d.Created), clockOf(d.Done), d.Ref != "")
		attempts := must[[]grid.Attempt](t)(st.Attempts(context.Background(), d.ID))
		if len(attempts) != d.Attempts {
			t.Errorf("%s has %d attempts on record: want %d", name, len(attempts), d.Attempts)
		}
		if got[d.ID] < d.Attempts {
			t.Errorf("%s reached its unit %d times: want at least %d", name, got[d.ID], d.Attempts)
		}
		delete(got, d.ID)
	}
	for id := range got {
		t.Errorf("a unit got delivery %s, which the state does not know", id)
	}
}

// journal counts the frames, and checks that the ledger counts each of them once.
func (o *outcome) journal(t testing.TB, files disk.FS, dir string, p state.Progress) {
	t.Helper()
	log := must[*journal.Log](t)(journal.Open(filepath.Join(dir, "journal"), journal.Options{Disk: files, MinFreeBulk: -1, MinFreeSafety: -1, ReserveBytes: -1}))
	defer log.Close()
	total := int64(0)
	for lane := range grid.Lane(grid.Lanes) {
		head := log.Head(lane)
		if p.Cursors[lane].Seq != head.Seq {
			t.Errorf("cursor of the %s lane is %v: want the journal's end %v", lane, p.Cursors[lane], head)
		}
		for after := uint64(0); after < head.Seq; {
			frames := must[[]grid.Frame](t)(log.Next(context.Background(), lane, after, 1000))
			for _, f := range frames {
				o.copies[wireFrame{ID: f.Identity, Payload: string(f.Raw), Retained: f.Flags&grid.Retained != 0}.key()]++
				after = f.Pos.Seq
				total++
			}
		}
	}
	sum := int64(0)
	for _, n := range o.ledger {
		sum += n
	}
	if sum != total {
		t.Errorf("ledger counts %d frames, the journal has %d: %v", sum, total, o.ledger)
	}
}

var (
	idField   = regexp.MustCompile(`(,| )(id="[^"]*"|frames=[0-9.e+]*|duplicates=[0-9.e+]*)`)
	stampTail = regexp.MustCompile(`[0-9]{3}$`)
)

// queue reads the points that may be sent: all blocks of the queue's files up to mark.
func (o *outcome) queue(t testing.TB, files disk.FS, dir string, mark influx.Mark) {
	t.Helper()
	var names []string
	for _, e := range must[[]fs.DirEntry](t)(files.ReadDir(filepath.Join(dir, "queue"))) {
		if strings.HasSuffix(e.Name(), ".lines") {
			names = append(names, filepath.Join(dir, "queue", e.Name()))
		}
	}
	for i, name := range names {
		b := must[[]byte](t)(disk.ReadFile(files, name))
		if i == len(names)-1 {
			if int64(len(b)) < mark.Offset {
				t.Errorf("queue ends at byte %d of %s: the state remembers %v", len(b), name, mark)
			}
			b = b[:min(int64(len(b)), mark.Offset)]
		}
		for b = b[8:]; len(b) >= 16; {
			n := binary.LittleEndian.Uint32(b)
			for line := range bytes.Lines(b[16 : 16+n]) {
				l := strings.TrimSpace(string(line))
				l = idField.ReplaceAllString(l, "$1")
				o.lines[stampTail.ReplaceAllString(l, "")] = true
				o.linesInAll++
			}
			b = b[16+n:]
		}
	}
}

// tellMost is how many differences are told one by one.
const tellMost = 25

// compare tells how a run that died on the way differs from one that did not. class says
// what a frame is, since what comes twice ends differently: a repeat of a counted frame is
// a duplicate, a garbled one is quarantined once more.
func compare(t testing.TB, want, got outcome, class map[string]string) {
	t.Helper()
	diff := 0
	tell := func(format string, args ...any) {
		if diff++; diff <= tellMost {
			t.Errorf(format, args...)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want.facts)) {
		if g, ok := got.facts[k]; !ok {
			tell("missing: %s: %s", k, want.facts[k])
		} else if g != want.facts[k] {
			tell("%s:\n\tis   %s\n\twant %s", k, g, want.facts[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got.facts)) {
		if _, ok := want.facts[k]; !ok {
			tell("unwanted: %s: %s", k, got.facts[k])
		}
	}
	for _, l := range slices.Sorted(maps.Keys(want.lines)) {
		if !got.lines[l] {
			tell("missing in the InfluxDB queue: %s", l)
		}
	}
	for _, l := range slices.Sorted(maps.Keys(got.lines)) {
		if !want.lines[l] {
			tell("unwanted in the InfluxDB queue: %s", l)
		}
	}
	extra := map[string]int64{}
	total := int64(0)
	for k, n := range want.copies {
		if got.copies[k] < n {
			tell("frame is %d times in the journal, want at least %d: %s", got.copies[k], n, k)
		}
		extra[class[k]] += int64(got.copies[k] - n)
		total += int64(got.copies[k] - n)
	}
	for k := range got.copies {
		if want.copies[k] == 0 {
			tell("frame was never sent: %s", k)
		}
	}
	more := func(o grid.Outcome) int64 { return got.ledger[o] - want.ledger[o] }
	within := func(what string, n int64, least, most []string) {
		var lo, hi int64
		for _, c := range least {
			lo += extra[c]
		}
		for _, c := range most {
			hi += extra[c]
		}
		if n < lo || n > lo+hi {
			tell("%d more frames %s for %v repeats: want %d to %d", n, what, extra, lo, lo+hi)
		}
	}
	within("had before", more(grid.Duplicate), []string{"counted", "content"}, []string{"unknown", "fire", "unreadable"})
	within("in quarantine", more(grid.Quarantined), nil, []string{"unreadable", "unknown"})
	within("processed", more(grid.Processed), []string{"retained"}, []string{"unknown", "fire"}) // a repeat that cries fire while no alarm is active is none
	within("ignored", more(grid.IgnoredFrame), []string{"answer"}, nil)
	if n := more(grid.Duplicate) + more(grid.Quarantined) + more(grid.Processed) + more(grid.IgnoredFrame); n != total || more(grid.Discarded) != 0 {
		tell("ledger is %v, without deaths %v, for %d repeats", got.ledger, want.ledger, total)
	}
	if diff > tellMost {
		t.Errorf("and %d differences more", diff-tellMost)
	}
}
