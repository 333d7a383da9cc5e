package engine

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// BenchmarkStorm lets 1,000 smoke detectors of 300 buildings alarm at the same moment, each
// frame from a caller of its own, on a real journal, store and queue. Latency is from the
// call of Append until the transaction is on disk: of an alarm, that of its event; of a
// building, that of the first message to its fire station. Afterwards each building has one
// incident, one ticket and one such message, and each detector is found in them.
func BenchmarkStorm(b *testing.B) {
	const detectors, buildings = 1000, 300
	for range b.N {
		begun := make([]time.Time, detectors)
		told := make(map[string]time.Time) // events by point, messages by ticket
		var mu sync.Mutex
		r := newRig(b, func(c *Config) {
			c.Now = time.Now
			collect := c.Committed
			c.Committed = func(rows *state.Batch) {
				now := time.Now()
				mu.Lock()
				for i := range rows.Events {
					told[rows.Events[i].Point] = now
				}
				for i := range rows.Deliveries {
					if d := &rows.Deliveries[i]; d.Unit == station && d.Type == "ticket.opened" {
						told[d.Ticket] = now
					}
				}
				mu.Unlock()
				collect(rows)
			}
		})
		r.units()
		var reg grid.Registration
		for i := range detectors {
			one := placed(grid.Smoke, stormPoint(i), grid.Identity("sn:"+stormPoint(i)), time.Now())
			one.Points[0].Building = stormBuilding(i, buildings)
			one.Points[0].Lon, one.Points[0].Lat = 121.4+float64(i%buildings)/1000, 31.2
			reg.Points, reg.Devices, reg.Installations = append(reg.Points, one.Points...), append(reg.Devices, one.Devices...), append(reg.Installations, one.Installations...)
		}
		r.put(reg)
		r.settle()
		var all sync.WaitGroup
		for i := range detectors {
			all.Go(func() {
				f := frame(grid.Identity("sn:"+stormPoint(i)), `{"smoke.alarm":true,"seq":1}`)
				begun[i] = time.Now()
				f.Received = begun[i].UTC()
				if err := r.journal.Append(b.Context(), grid.Safety, []grid.Frame{f}); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		r.settle()
		stormReport(b, r, begun, told, buildings)
		r.close()
	}
}

func stormPoint(i int) string        { return fmt.Sprintf("S%04d", i) }
func stormBuilding(i, of int) string { return fmt.Sprintf("b%03d", i%of) }

func stormReport(b *testing.B, r *rig, begun []time.Time, told map[string]time.Time, buildings int) {
	first := map[string]time.Time{} // when the first detector of a building spoke
	var alarms, messages []time.Duration
	for i, at := range begun {
		if told[stormPoint(i)].IsZero() {
			b.Fatalf("nothing is told of %s", stormPoint(i))
		}
		alarms = append(alarms, told[stormPoint(i)].Sub(at))
		if was, ok := first[stormBuilding(i, buildings)]; !ok || at.Before(was) {
			first[stormBuilding(i, buildings)] = at
		}
	}
	incidents := everything(b, r.store.ListIncidents)
	found := 0
	for _, in := range incidents {
		tk := must[grid.Ticket](b)(r.store.Ticket(b.Context(), in.Ticket))
		found += 1 + len(tk.Members)
		messages = append(messages, told[in.Ticket].Sub(first[in.Place]))
		if told[in.Ticket].IsZero() || in.Members != 1+len(tk.Members) {
			b.Errorf("incident of %s has %d members, its ticket %d, told %v", in.Place, in.Members, 1+len(tk.Members), !told[in.Ticket].IsZero())
		}
	}
	if len(incidents) != buildings || len(everything(b, r.store.ListTickets)) != buildings || found != len(begun) {
		b.Errorf("%d incidents with %d detectors: want %d and %d", len(incidents), found, buildings, len(begun))
	}
	slices.Sort(alarms)
	slices.Sort(messages)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(alarms[len(alarms)/2]), "alarm-p50-ms")
	b.ReportMetric(ms(alarms[len(alarms)*99/100]), "alarm-p99-ms")
	b.ReportMetric(ms(messages[len(messages)/2]), "message-p50-ms")
	b.ReportMetric(ms(messages[len(messages)*99/100]), "message-p99-ms")
	b.ReportMetric(ms(messages[len(messages)-1]), "message-max-ms")
}
