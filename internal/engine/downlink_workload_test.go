package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gridgate/internal/envelope"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// downOrder is what people, the outbox and networks do to a downlink.
type downOrder struct {
	Make grid.Downlink
	ID   string
	Step DownlinkStep
}

func (n *node) downlink(ctx context.Context, do string, o *downOrder) (err error) {
	switch do {
	case "downlink":
		_, err = n.engine.Downlink(ctx, o.Make)
	case "downlink step":
		_, err = n.engine.DownlinkResult(ctx, o.ID, o.Step)
	case "downlink cancel":
		_, err = n.engine.CancelDownlink(ctx, o.ID, tester, "a word")
	}
	return err
}

// answerFrame is how a network's answer lies in the journal.
func answerFrame(f grid.Frame) grid.Frame {
	f.Envelope, f.Address = envelope.TheThings, "v3/app@tenant/devices/d1/down/x"
	return f
}

// downlinks are those of a workload. They have a source of chance of their own, so that
// all else goes as it goes without them.
type downlinks struct {
	rng  *rand.Rand
	made []grid.Downlink
	ref  map[string]string // what the network calls those that it has
}

func newDownlinks(seed uint64) *downlinks {
	return &downlinks{rng: rand.New(rand.NewPCG(seed, 11)), ref: map[string]string{}}
}

// tell adds what happens to downlinks between two words of the devices. What may be done
// again when it was not answered leads to the same: so no answer comes before its
// reference, which only memory would know.
func (w *workload) tell() {
	r := w.down.rng
	for range r.IntN(4) {
		s := w.points[r.IntN(52)] // known from the start
		d := grid.Downlink{
			ID: grid.DownlinkID(s.id, fmt.Sprint(len(w.down.made))), Device: s.id, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "ff", Port: 85}},
			Confirm: r.IntN(2) == 0, Once: r.IntN(2) == 0, Expires: w.at.Add(time.Duration(1+r.IntN(120)) * time.Minute), By: tester,
		}
		w.down.made = append(w.down.made, d)
		w.add(order{Do: "downlink", Down: downOrder{Make: d}})
	}
	for range r.IntN(6) {
		w.stepOrAnswer()
	}
	w.add(order{Do: "settle"})
}

func (w *workload) stepOrAnswer() {
	r := w.down.rng
	if len(w.down.made) == 0 {
		return
	}
	d := w.down.made[max(0, len(w.down.made)-1-r.IntN(12))]
	switch n := r.IntN(12); {
	case n < 6:
		steps := everyStep(w.at)
		s := steps[r.IntN(len(steps))]
		if s.Sent != nil {
			sent := *s.Sent
			sent.Ref = "net-" + d.ID
			s.Sent, w.down.ref[d.ID] = &sent, sent.Ref
		}
		w.add(order{Do: "downlink step", Down: downOrder{ID: d.ID, Step: s}})
	case n < 7:
		w.add(order{Do: "downlink cancel", Down: downOrder{ID: d.ID}})
	default:
		ref, known := w.down.ref[d.ID]
		if !known || r.IntN(2) == 0 {
			ref = d.ID
		}
		from := d.Device
		if r.IntN(6) == 0 {
			from = w.points[r.IntN(52)].id
		}
		all := everyAnswer(ref)
		f := networkSays(from, ref, all[r.IntN(len(all))].State)
		w.add(order{Do: "frames", Frames: []wireFrame{w.note(wireFrame{ID: f.Identity, Payload: string(f.Raw), Answer: true}, "answer")}}, order{Do: "settle"})
	}
}

// downlinks of a run, and who was written down for them. How often one was tried is not
// told: a step that was not answered is told again.
func (o *outcome) downlinks(t testing.TB, st *state.Store) {
	for _, d := range everything(t, st.ListDownlinks) {
		o.facts["downlink "+d.ID] = fmt.Sprintf("%s to %s made %s ends %s sent %s ended %s next %s trying %t way %q ref %q answer %q error %q", d.State, d.Device,
			clockOf(d.Created), clockOf(d.Expires), clockOf(d.SentAt), clockOf(d.EndedAt), clockOf(d.Next), d.Trying, d.Way, d.Ref, d.Answer, d.Error)
	}
	audits := map[string]int{}
	for _, a := range everything(t, st.ListAudit) {
		if a.Action == "downlink.send" || a.Action == "downlink.cancel" {
			audits[fmt.Sprintf("audit %s of %s by %s", a.Action, a.Subject, a.By.Name)]++
		}
	}
	for k, n := range audits {
		o.facts[k] = fmt.Sprint(n)
	}
}
