package engine

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

func TestReplayInManyPartsRaisesNothingThatALaterPartEnds(t *testing.T) {
	r := newRig(t)
	const id = "sn:cover"
	var frames []grid.Frame
	for i := range replayChunk + 40 {
		f := frame(id, fmt.Sprintf(`{"seq":%d,"manhole.open":%t}`, i+1, i < replayChunk))
		f.Received = r.now().Add(time.Duration(i-1000) * time.Minute)
		frames = append(frames, f)
	}
	r.send(frames...)
	reg := placed(grid.Manhole, "M1", id, r.now().Add(-24*time.Hour))
	r.put(grid.Registration{Points: reg.Points})
	n, err := r.engine.Claim(t.Context(), reg.Devices[0], reg.Installations)
	if err != nil || n != len(frames) {
		t.Fatalf("%d frames got through, %v: want %d", n, err, len(frames))
	}
	r.settle()
	if ev := r.events(grid.EventManholeOpen); len(ev) != 0 {
		t.Errorf("events are %+v: want none, the cover was closed long ago", ev)
	}
}

func TestReplayInManyPartsRaisesWhatIsStillActive(t *testing.T) {
	r := newRig(t)
	var frames []grid.Frame
	for i := range 2 * replayChunk {
		// One opens in the first part and is not heard of again, the other stays open in both.
		id, open := grid.Identity("sn:long"), true
		if i == 3 {
			id = "sn:short"
		}
		f := frame(id, fmt.Sprintf(`{"seq":%d,"manhole.open":%t}`, i+1, open))
		f.Received = r.now().Add(time.Duration(i-1000) * time.Minute)
		frames = append(frames, f)
	}
	r.send(frames...)
	for _, id := range []grid.Identity{"sn:long", "sn:short"} {
		r.put(placed(grid.Manhole, "M-"+string(id), id, r.now().Add(-24*time.Hour)))
	}
	through, still, err := r.engine.ReplayOf(t.Context(), "gridgate/json", tester)
	if err != nil || through != len(frames) || still != 0 {
		t.Fatalf("%d through, %d still, %v", through, still, err)
	}
	r.settle()
	raised := map[string]int{}
	for _, ev := range r.events(grid.EventManholeOpen) {
		raised[ev.Point]++
	}
	if raised["M-sn:long"] != 1 || raised["M-sn:short"] != 1 {
		t.Errorf("raised %v: want each once", raised)
	}
}

func TestReplayThatIsBrokenOffStillRaisesWhatIsActive(t *testing.T) {
	r := newRig(t)
	f := frame("sn:cover", `{"seq":1,"manhole.open":true}`)
	f.Received = r.now().Add(-time.Hour)
	r.send(f)
	r.put(placed(grid.Manhole, "M1", "sn:cover", r.now()))
	id := r.quarantine()[0].ID
	frames := must[[]grid.QuarantinedFrame](t)(r.engine.waiting(t.Context(), []string{id}))
	one := newReplay(map[grid.Identity]string{"sn:cover": "one that comes later"}, tester)
	if n := must[int](t)(r.engine.replayAll(t.Context(), frames, one)); n != 1 {
		t.Fatalf("%d through: want 1", n)
	}
	if ev := r.events(grid.EventManholeOpen); len(ev) != 0 {
		t.Fatalf("events are %+v: want none before the last frame", ev)
	}
	if err := r.engine.replayEnds(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if ev := r.events(grid.EventManholeOpen); len(ev) != 1 || ev[0].Action != "raised" {
		t.Errorf("events are %+v: want it raised", ev)
	}
}

func TestManyFramesAreDiscardedInParts(t *testing.T) {
	r := newRig(t)
	var frames []grid.Frame
	for i := range 2*replayChunk + 1 {
		frames = append(frames, frame("sn:stranger", fmt.Sprintf(`{"seq":%d}`, i)))
	}
	r.send(frames...)
	var ids []string
	for q := (state.Query{State: "waiting", Limit: 1000}); ; {
		page := must[state.Page[grid.QuarantinedFrame]](t)(r.store.ListQuarantine(t.Context(), q))
		for i := range page.Items {
			ids = append(ids, page.Items[i].ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	// A turn is counted after it has answered: asked within a turn, all before it are.
	commands := func() (n int64) {
		r.engine.do(t.Context(), &command{name: "poke", do: func(*batch) (any, error) { n = r.engine.Stats().Commands; return nil, nil }})
		return n
	}
	before := commands()
	n, err := r.engine.Discard(t.Context(), append(ids, ids[0]), tester, "no use")
	if err != nil || n != len(frames) {
		t.Errorf("%d discarded, %v: want %d, each once", n, err, len(frames))
	}
	if got := commands() - before - 1; got < 3 { // the first question is one of them
		t.Errorf("it took %d commands: want no turn to look at more than %d frames", got, replayChunk)
	}
	if got := r.ledger(); got[grid.Discarded] != int64(len(frames)) || got[grid.Quarantined] != 0 {
		t.Errorf("ledger is %v: want all discarded", got)
	}
}
