package scenario

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"gridgate/simulator"
	"gridgate/simulator/verdict"
)

// evidence is everything that is known about a run when it is over, as rows of JSON.
type evidence struct {
	zero     time.Time // the city's time at which the timeline began
	slack    time.Duration
	early    time.Duration
	rows     map[string][]map[string]any
	missing  map[string]string // by subject: why there is none
	unplayed map[string]string // by step: why it was not played
	pointID  func(string) string
}

// collect asks the gateway for all that came of the run, and adds what we counted ourselves.
func (r *run) collect(ctx context.Context) (*evidence, error) {
	ev := &evidence{zero: r.zero, slack: r.slack, early: r.early, rows: map[string][]map[string]any{}, missing: map[string]string{}, unplayed: r.unplayed, pointID: r.pointID}
	since := url.Values{"since": {r.zero.Add(-time.Minute).UTC().Format(time.RFC3339)}}
	for subject, list := range map[string]string{"alarm": "alarms", "ticket": "tickets", "event": "events", "delivery": "deliveries", "hazard": "hazards", "window": "windows", "quarantine": "quarantine"} {
		rows, err := r.api.list(ctx, list, cloneValues(since))
		if err != nil {
			return nil, err
		}
		ev.rows[subject] = r.ours(rows)
	}
	rows, err := r.api.list(ctx, "discovered", nil)
	if err != nil {
		return nil, err
	}
	ev.rows["discovered"] = rows
	for _, row := range ev.rows["quarantine"] {
		if _, said := row["point"]; !said {
			row["point"] = r.pointOfDevice(textOf(row["device"]))
		}
	}
	if err := r.tellTickets(ctx, ev); err != nil {
		return nil, err
	}
	r.tellReceived(ev)
	if err := r.tellCounts(ctx, ev); err != nil {
		return nil, err
	}
	if err := r.tellRollouts(ctx, ev); err != nil {
		return nil, err
	}
	return ev, r.tellInflux(ctx, ev)
}

func cloneValues(v url.Values) url.Values {
	out := url.Values{}
	for k, x := range v {
		out[k] = append([]string(nil), x...)
	}
	return out
}

// ours leaves out what another run has left on the same gateway, and writes priorities as
// people do.
func (r *run) ours(rows []map[string]any) []map[string]any {
	var out []map[string]any
	for _, row := range rows {
		if p, ok := row["priority"].(float64); ok && p >= 1 && p <= 4 {
			row["priority"] = "P" + textOf(p)
		}
		p := textOf(row["point"])
		if r.own == nil && p != "" && !strings.HasPrefix(p, r.prefix) {
			continue
		}
		out = append(out, row)
	}
	return out
}

// tellTickets adds each ticket's history, and to deliveries what they are about.
func (r *run) tellTickets(ctx context.Context, ev *evidence) error {
	byID := map[string]map[string]any{}
	for _, t := range ev.rows["ticket"] {
		id := textOf(t["id"])
		byID[id] = t
		var page struct {
			Items []map[string]any `json:"items"`
		}
		if err := r.api.do(ctx, "GET", "/api/v1/tickets/"+url.PathEscape(id)+"/moves", nil, &page); err != nil {
			return err
		}
		path, verbs, history := []any{}, []any{}, []any{}
		for _, m := range page.Items {
			if to := textOf(m["to"]); len(path) == 0 || path[len(path)-1] != to {
				path = append(path, to)
			}
			verbs = append(verbs, textOf(m["verb"]))
			history = append(history, m)
		}
		t["path"], t["verbs"], t["history"] = path, verbs, history
		for _, a := range listOf(t["assignments"]) {
			if a["lead"] == true {
				t["lead"] = a["unit"]
			}
		}
	}
	for _, d := range ev.rows["delivery"] {
		if t := byID[textOf(d["ticket"])]; t != nil {
			d["event"], d["point"] = t["type"], t["point"]
		}
	}
	return nil
}

func listOf(v any) []map[string]any {
	var out []map[string]any
	all, _ := v.([]any)
	for _, one := range all {
		if m, ok := one.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// tellReceived is the units' own side.
func (r *run) tellReceived(ev *evidence) {
	rows := []map[string]any{}
	for _, u := range r.s.Units {
		all, _ := r.units.Received(r.unitID(u.ID))
		for _, x := range all {
			row := rowOf(x)
			row["unit"] = r.unitID(u.ID)
			row["type"] = strings.TrimPrefix(x.Type, "gridgate.")
			row["first"] = r.cityAt(x.First).Format(time.RFC3339Nano)
			rows = append(rows, row)
		}
	}
	ev.rows["received"] = rows
}

// rowOf is a value as its JSON.
func rowOf(v any) map[string]any {
	var row map[string]any
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &row)
	}
	if err != nil {
		panic("scenario: plain values: " + err.Error())
	}
	return row
}

// tellCounts are the ledger, what was sent, and latencies.
func (r *run) tellCounts(ctx context.Context, ev *evidence) error {
	acked := r.framesAcked() // before the ledger is asked: what is acknowledged meanwhile is in it already
	r.result.Sent = r.sent()
	l, err := r.ledger(ctx)
	if err != nil {
		return err
	}
	r.result.Ledger = l.Minus(r.before)
	row := rowOf(r.result.Ledger)
	row["only"] = true
	ev.rows["ledger"] = []map[string]any{row}
	for _, w := range r.result.Sent {
		row := rowOf(w)
		row["only"], row["open"] = true, float64(w.Frames-min(w.Acked, w.Frames))
		row["unheard"] = float64(0)
		if framed(w.Wire) { // what is acknowledged on all wires is in one ledger
			row["unheard"] = float64(max(0, int64(acked)-r.result.Ledger.Accepted))
		}
		ev.rows["sent"] = append(ev.rows["sent"], row)
	}
	r.timeSmoke(ev)
	for _, name := range []string{"ack", "unit", "late"} {
		c := r.clockworks[name]
		if x := c.Latency(); x.Count > 0 {
			r.result.Latencies = append(r.result.Latencies, x)
			row := rowOf(x)
			row["only"] = true
			ev.rows["latency"] = append(ev.rows["latency"], row)
		}
	}
	return nil
}

// timeSmoke takes, for each smoke that the timeline made, the time from when it was due to
// the first message about that place at a unit.
func (r *run) timeSmoke(ev *evidence) {
	for point, due := range r.smokeDue {
		var first time.Time
		for _, row := range ev.rows["received"] {
			at := stampOf(row["first"])
			if row["point"] == point && strings.HasPrefix(textOf(row["event"]), "smoke.") && !at.Before(r.cityAt(due)) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		if !first.IsZero() {
			r.clockworks["unit"].Took(due, r.realAt(first))
		}
	}
}

// ledger reads the gateway's count.
func (r *run) ledger(ctx context.Context) (verdict.Ledger, error) {
	var got struct {
		Rows  []verdict.Ledger `json:"rows"`
		Lanes []struct {
			Accepted int64 `json:"accepted"`
			Waiting  int64 `json:"waiting"`
		} `json:"lanes"`
		Lost     int64 `json:"lost_unackable"`
		Balanced bool  `json:"balanced"`
	}
	if err := r.api.do(ctx, "GET", "/api/v1/ledger", nil, &got); err != nil {
		return verdict.Ledger{}, err
	}
	out := verdict.Ledger{Lost: got.Lost, Balanced: got.Balanced}
	for _, x := range got.Rows {
		out.Processed, out.Duplicate, out.Ignored = out.Processed+x.Processed, out.Duplicate+x.Duplicate, out.Ignored+x.Ignored
		out.Quarantined, out.Discarded = out.Quarantined+x.Quarantined, out.Discarded+x.Discarded
	}
	for _, x := range got.Lanes {
		out.Accepted, out.Waiting = out.Accepted+x.Accepted, out.Waiting+x.Waiting
	}
	return out, nil
}

// tellInflux reads back what InfluxDB has of the points that expectations ask for.
func (r *run) tellInflux(ctx context.Context, ev *evidence) error {
	for _, e := range r.s.Expect {
		if e.Subject != "influx" {
			continue
		}
		if r.own != nil && r.own.influx == nil {
			ev.missing["influx"] = "gateway.influx is none"
			return nil
		}
		all, err := r.s.names(textOf(e.Wish["point"]))
		if err != nil {
			return err
		}
		for _, name := range all {
			id := r.pointID(name)
			q := url.Values{"signal": {textOf(e.Wish["signal"])}, "from": {r.zero.Add(-time.Minute).UTC().Format(time.RFC3339)}}
			var h struct {
				Samples []any `json:"samples"`
			}
			if err := r.api.do(ctx, "GET", "/api/v1/points/"+url.PathEscape(id)+"/history?"+q.Encode(), nil, &h); err != nil {
				return err
			}
			ev.rows["influx"] = append(ev.rows["influx"], map[string]any{"point": id, "signal": textOf(e.Wish["signal"]), "samples": float64(len(h.Samples)), "only": true})
		}
	}
	return nil
}

// pointOfDevice finds where a device of the city stands, by any of its names.
func (r *run) pointOfDevice(identity string) string {
	if i, err := r.city.Find(identity); err == nil && identity != "" {
		return r.city.Point(i).ID
	}
	return r.former[identity]
}

// draw makes the marks of the timeline's picture from the evidence.
func (r *run) draw(ev *evidence) {
	end := r.result.To
	add := func(m verdict.Mark) {
		if !m.At.IsZero() && len(r.result.Marks) < 4000 {
			r.result.Marks = append(r.result.Marks, m)
		}
	}
	for _, a := range ev.rows["alarm"] {
		until := stampOf(a["returned"])
		if until.IsZero() || a["active"] == true {
			until = end
		}
		text := textOf(a["type"]) + " " + r.shortPoint(textOf(a["point"]))
		add(verdict.Mark{Lane: verdict.LaneAlarms, At: stampOf(a["raised"]), Until: until, Kind: textOf(a["priority"]), Text: verdict.Text{ZH: text, EN: text}, ID: textOf(a["id"])})
	}
	for _, t := range ev.rows["ticket"] {
		until := stampOf(t["closed"])
		if until.IsZero() {
			until = end
		}
		text := textOf(t["type"]) + " " + r.shortPoint(textOf(t["point"])) + " → " + textOf(t["state"])
		add(verdict.Mark{Lane: verdict.LaneTickets, At: stampOf(t["opened"]), Until: until, Kind: textOf(t["priority"]), Text: verdict.Text{ZH: text, EN: text}, ID: textOf(t["id"])})
		for _, m := range listOf(t["history"]) {
			by, _ := m["by"].(map[string]any)
			lane := map[string]string{"unit": verdict.LaneUnits, "operator": verdict.LaneOperator, "supervisor": verdict.LaneOperator}[textOf(by["role"])]
			if lane == "" {
				continue
			}
			text := textOf(by["name"]) + ": " + textOf(m["verb"]) + " · " + textOf(t["type"]) + " " + r.shortPoint(textOf(t["point"]))
			if why := textOf(m["reason"]); why != "" {
				text += " (" + short(why, 80) + ")"
			}
			add(verdict.Mark{Lane: lane, Who: textOf(by["name"]), At: stampOf(m["at"]), Kind: textOf(m["verb"]), Text: verdict.Text{ZH: text, EN: text}, ID: textOf(t["id"])})
		}
	}
	for _, x := range ev.rows["received"] {
		text := textOf(x["unit"]) + " ← " + textOf(x["type"]) + " · " + textOf(x["event"]) + " " + r.shortPoint(textOf(x["point"]))
		add(verdict.Mark{Lane: verdict.LaneUnits, Who: textOf(x["unit"]), At: stampOf(x["first"]), Kind: "message", Text: verdict.Text{ZH: text, EN: text}, ID: textOf(x["id"])})
	}
}

func (r *run) shortPoint(id string) string { return strings.TrimPrefix(id, r.prefix) }

// cityAt is the city's time at a real moment, realAt the other way round.
func (r *run) cityAt(real time.Time) time.Time {
	return r.clock.Start.Add(time.Duration(float64(real.Sub(r.clock.Since)) * r.clock.Speed))
}

func (r *run) realAt(city time.Time) time.Time {
	return r.clock.Since.Add(r.clock.Real(city.Sub(r.clock.Start)))
}

// heard notes an acknowledgement: from when a frame was due to when the gateway had it.
// What was said before the timeline began also waited for the connection, and does not count.
func (r *run) heard(m simulator.Message) {
	if r.timing.Load() && m.At.After(r.zero) {
		r.clockworks["ack"].Took(r.realAt(m.At), time.Now())
	}
}
