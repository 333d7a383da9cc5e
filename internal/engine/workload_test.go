package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// workload makes a run of orders out of a seed: some sixty points of all four kinds, with
// all that their frames, people and units do wrong. The clock goes on in steps of at
// least five seconds, and what is due has fired before the next frame comes: then the
// outcome does not depend on how frames fell into batches.
type workload struct {
	rng    *rand.Rand
	at     time.Time
	orders []order
	points []*sim
	rolls  int
	down   *downlinks
	class  map[string]string // of a frame, by what its device says: see classOf
	keys   int
}

// sim is a device and its point.
type sim struct {
	id       grid.Identity
	point    string
	kind     grid.Kind
	counted  bool
	seq      int
	abnormal bool
	known    bool
}

func newWorkload(seed uint64, steps int) *workload {
	w := &workload{rng: rand.New(rand.NewPCG(seed, 1)), at: rigStart, class: map[string]string{}, down: newDownlinks(seed)}
	kinds := []grid.Kind{grid.Smoke, grid.Door, grid.Parking, grid.Manhole}
	w.add(order{Do: "put", Reg: grid.Registration{Units: someUnits()}})
	var reg grid.Registration
	for i := range 60 {
		s := &sim{
			id: grid.Identity(fmt.Sprintf("sn:%02d", i)), point: fmt.Sprintf("P%02d", i), kind: kinds[i%4],
			counted: i%5 != 0, known: i < 52,
		}
		w.points = append(w.points, s)
		if s.known {
			r := w.registration(s)
			reg.Points, reg.Devices, reg.Installations = append(reg.Points, r.Points...), append(reg.Devices, r.Devices...), append(reg.Installations, r.Installations...)
		} else {
			reg.Points = append(reg.Points, w.registration(s).Points...) // waits for its device
		}
	}
	w.add(order{Do: "put", Reg: reg})
	for range steps {
		w.step()
	}
	w.pass(30 * time.Minute)
	w.add(order{Do: "deliver"}, order{Do: "settle"}, order{Do: "live"})
	return w
}

func someUnits() (all []grid.Unit) {
	for i, k := range []grid.UnitKind{grid.FireUnit, grid.MicroStation, grid.UrbanManagement, grid.Utility, grid.Property, grid.Committee, grid.Maintenance} {
		all = append(all, grid.Unit{ID: "u-" + string(k), Name: string(k), Kind: k, Tier: 1 + i%3, Mode: grid.Simulated, Connector: "webhook", URL: "http://127.0.0.1:1/", Token: "token-of-" + string(k), Entry: "auto"})
	}
	return all
}

func (w *workload) registration(s *sim) grid.Registration {
	r := placed(s.kind, s.point, s.id, w.at)
	r.Points[0].Building = fmt.Sprintf("b%d", len(s.point)+int(s.point[2]-'0')/3) // some share one
	r.Devices[0].State, r.Devices[0].Installed = grid.Installed, w.at
	if s.kind != grid.Smoke {
		r.Devices[0].Profile = bulkProfile
	}
	switch s.kind {
	case grid.Parking:
		if s.point[2]%2 == 0 {
			r.Points[0].Rules = "fire_lane"
		}
	case grid.Door:
		if s.point[2]%2 == 1 {
			r.Points[0].Rules = "fire_door"
		}
	}
	return r
}

func (w *workload) add(os ...order) {
	for _, o := range os {
		o.N, o.At = len(w.orders), w.at
		w.orders = append(w.orders, o)
	}
}

// pass lets time pass.
func (w *workload) pass(d time.Duration) {
	w.at = w.at.Add(d)
	w.add(order{Do: "settle"})
}

func (w *workload) step() {
	r := w.rng
	switch n := r.IntN(100); {
	case n < 60:
		w.pass(time.Duration(5+r.IntN(40)) * time.Second)
	case n < 95:
		w.pass(time.Duration(1+r.IntN(12)) * time.Minute)
	default:
		w.pass(time.Duration(70+r.IntN(90)) * time.Minute)
	}
	for range 1 + r.IntN(2) {
		w.frames(1 + r.IntN(14))
	}
	if r.IntN(15) == 0 {
		w.burst()
	}
	w.add(order{Do: "settle"})
	switch n := r.IntN(20); {
	case n < 9:
		w.move()
	case n < 11:
		w.add(order{Do: "ack", Point: w.any().point})
	case n < 12:
		w.claim()
	case n < 13:
		w.add(order{Do: "replay"})
	case n < 14:
		w.add(order{Do: "put", Reg: w.registrationAgain()})
	case n < 16:
		w.roll()
	default:
		w.window()
	}
	w.tell()
	w.hearsay()
	if r.IntN(3) == 0 {
		w.add(order{Do: "deliver"})
	}
}

func (w *workload) any() *sim { return w.points[w.rng.IntN(len(w.points))] }

// frames is one delivery of a broker: at most one frame of a device without a counter,
// since of those nobody can tell a repeat from the same word said twice.
func (w *workload) frames(n int) {
	o := order{Do: "frames"}
	used := map[*sim]bool{}
	for range n {
		s := w.any()
		if used[s] && !s.counted {
			continue
		}
		used[s] = true
		o.Frames = append(o.Frames, w.say(s)...)
	}
	w.add(o)
}

// burst is many frames at once, so that a lane's frames come in several chunks.
func (w *workload) burst() {
	o := order{Do: "frames"}
	for range 300 {
		if s := w.any(); s.counted && s.known && s.kind != grid.Smoke {
			o.Frames = append(o.Frames, w.report(s, ""))
		}
	}
	w.add(o)
}

// say is what a device sends now: mostly a report, sometimes trouble.
func (w *workload) say(s *sim) []wireFrame {
	r := w.rng
	if r.IntN(5) == 0 {
		s.abnormal = !s.abnormal
	}
	switch n := r.IntN(40); {
	case n == 0:
		return []wireFrame{w.note(wireFrame{ID: s.id, Payload: fmt.Sprintf("garbage %d", r.IntN(1000))}, "unreadable")}
	case n == 1 && s.known && !s.cries():
		return []wireFrame{w.note(wireFrame{ID: s.id, Payload: w.payload(s, 0, ""), Retained: true}, "retained")}
	case n == 2 && s.counted:
		return []wireFrame{w.report(s, fmt.Sprintf(`,"at":%d`, w.at.Add(-time.Duration(r.IntN(3600))*time.Second).Unix()))}
	case n == 3:
		return []wireFrame{w.note(wireFrame{ID: grid.Identity(fmt.Sprintf("sn:stranger-%d", r.IntN(4))), Payload: fmt.Sprintf(`{"door.open":true,"seq":%d}`, r.IntN(1000))}, "unknown")}
	case n == 4:
		f := w.report(s, "")
		return []wireFrame{f, f} // twice, at once
	case n < 8 && s.counted && !s.cries():
		a := w.report(s, "")
		s.abnormal = !s.abnormal
		b := w.report(s, "")
		return []wireFrame{b, a} // overtaken
	case n == 8 && s.counted:
		return []wireFrame{w.report(s, `,"battery.level":9`)}
	case n == 9 && s.counted:
		return []wireFrame{w.report(s, `,"tamper":true`)}
	case n == 10 && s.counted:
		return []wireFrame{w.report(s, `,"test":true`)}
	}
	return []wireFrame{w.report(s, ``)}
}

// cries reports whether a device says that there is a fire. By the rules such a word may
// come twice and count twice while no alarm is active, so it comes in order and live here.
func (s *sim) cries() bool { return s.kind == grid.Smoke && s.abnormal }

func (w *workload) report(s *sim, more string) wireFrame {
	s.seq++
	class := "counted"
	switch {
	case !s.known:
		class = "unknown"
	case s.cries():
		class = "fire"
	case !s.counted:
		class = "content"
	}
	return w.note(wireFrame{ID: s.id, Payload: w.payload(s, s.seq, more)}, class)
}

func (w *workload) payload(s *sim, seq int, more string) string {
	var b strings.Builder
	switch s.kind {
	case grid.Smoke:
		fmt.Fprintf(&b, `{"smoke.alarm":%v`, s.abnormal)
	case grid.Door:
		fmt.Fprintf(&b, `{"door.open":%v`, s.abnormal)
	case grid.Parking:
		fmt.Fprintf(&b, `{"parking.occupied":%v`, s.abnormal)
	case grid.Manhole:
		tilt := 0
		if s.abnormal {
			tilt = []int{20, 45}[seq%2]
		}
		fmt.Fprintf(&b, `{"manhole.tilt":%d`, tilt)
	}
	switch {
	case s.counted && seq > 0:
		fmt.Fprintf(&b, `,"seq":%d`, seq)
	case seq > 0:
		// Another content each time: of the same content sent again nobody can tell whether
		// the first was lost on the way or is meant a second time.
		fmt.Fprintf(&b, `,"temperature":%.1f`, float64(seq%1500)/10)
	}
	return b.String() + more + "}"
}

// note remembers of what class a frame is: what becomes of it when it comes twice.
func (w *workload) note(f wireFrame, class string) wireFrame {
	w.class[f.key()] = class
	return f
}

func (f wireFrame) key() string { return fmt.Sprintf("%s %s %v", f.ID, f.Payload, f.Retained) }

// move is the word of a unit or an operator on the newest ticket of a point.
func (w *workload) move() {
	r := w.rng
	s := w.any()
	if r.IntN(4) == 0 {
		w.rearrange(s)
		return
	}
	verbs := []grid.Verb{grid.VerbAccept, grid.VerbArrive, grid.VerbResolve, grid.VerbConfirm, grid.VerbVerify, grid.VerbNote, grid.VerbCancel, grid.VerbReturn}
	first := r.IntN(3)
	for i := range 1 + r.IntN(4) {
		m := grid.Move{Verb: verbs[(first+i)%len(verbs)], By: grid.Actor{Role: grid.RoleUnit, Unit: "lead"}, Reason: "word", OnSite: true, Evidence: "photo", Source: "patrol"}
		switch m.Verb {
		case grid.VerbVerify, grid.VerbNote, grid.VerbCancel:
			m.By = grid.Actor{Role: grid.RoleOperator, Name: "op"}
			m.Finding = []grid.Verification{grid.VerifiedTrue, grid.VerifiedFalse, grid.VerifiedUnable}[r.IntN(3)]
		case grid.VerbReturn:
			m.Unit = "u-property"
		}
		w.keys++
		m.Key = fmt.Sprintf("key-%d", w.keys)
		w.add(order{Do: "move", Point: s.point, Move: m})
	}
	w.add(order{Do: "settle"})
}

// rearrange is what the desk does to tickets as wholes: it merges, splits, closes by force,
// and does a task.
func (w *workload) rearrange(s *sim) {
	by := func(name string, v grid.Verb) grid.Move {
		w.keys++
		return grid.Move{Verb: v, By: grid.Actor{Role: grid.RoleSupervisor, Name: name}, Reason: "word", Source: "patrol", Task: 1, Key: fmt.Sprintf("key-%d", w.keys)}
	}
	switch w.rng.IntN(4) {
	case 0:
		w.add(order{Do: "move", Point: s.point, Move: by("sv1", grid.VerbForceClose)}, order{Do: "move", Point: s.point, Move: by("sv2", grid.VerbForceClose)})
	case 1:
		w.add(order{Do: "move", Point: s.point, Move: by("sv1", grid.VerbSplit)})
	case 2:
		m := by("sv1", grid.VerbMerge)
		m.Into = w.any().point // its newest ticket
		w.add(order{Do: "move", Point: s.point, Move: m})
	default:
		w.add(order{Do: "move", Point: s.point, Move: by("sv1", grid.VerbDone)})
	}
	w.add(order{Do: "settle"})
}

// claim registers a device that is heard and not known.
func (w *workload) claim() {
	for _, s := range w.points {
		if !s.known {
			s.known = true
			reg := w.registration(s)
			w.add(order{Do: "claim", Reg: grid.Registration{Devices: reg.Devices, Installations: reg.Installations}}, order{Do: "settle"})
			return
		}
	}
}

// registrationAgain is the import of a file that changes little.
func (w *workload) registrationAgain() grid.Registration {
	s := w.any()
	r := w.registration(s)
	r.Devices, r.Installations = nil, nil
	r.Points[0].Name = fmt.Sprintf("%s as of %s", s.point, w.at.Format(time.TimeOnly))
	return r
}
