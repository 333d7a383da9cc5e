package gateway

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gridgate/internal/grid"
)

// metrics are read from the parts when they are scraped; no part knows of Prometheus.
func (g *Gateway) metrics() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &parts{g})
	return r
}

// parts is the collector of the gateway's own figures.
type parts struct{ g *Gateway }

// Describe sends nothing: the collector is unchecked, its metrics depend on the configuration.
func (p *parts) Describe(chan<- *prometheus.Desc) {}

// sender sends one figure. Labels are pairs of a name and a value.
type sender func(kind prometheus.ValueType, name, help string, v float64, labels ...string)

// Collect sends the figures of all parts. Those of a part stand beside its wiring, where it has a
// file of its own.
func (p *parts) Collect(ch chan<- prometheus.Metric) {
	send := func(kind prometheus.ValueType, name, help string, v float64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("gridgate_"+name, help, names, nil), kind, v, values...)
	}
	g := p.g
	for _, of := range []func(sender){
		g.credentialMetrics, g.certificateMetrics, g.heartMetrics, g.journalMetrics, g.engineMetrics, g.rolloutMetrics, g.dispatchMetrics,
		g.influxMetrics, func(s sender) { g.traceMetrics(s) }, g.downlinkMetrics, g.linkMetrics, g.mqttMetrics, g.serialMetrics, g.coapMetrics,
	} {
		of(send)
	}
	send(prometheus.CounterValue, "lost_unackable_total", "Frames of wires without an acknowledgement that were given up.", float64(g.lost()))
}

func (g *Gateway) journalMetrics(send sender) {
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	for lane, s := range g.journal.Stats().Lanes {
		l := grid.Lane(lane).String()
		send(count, "journal_frames_total", "Frames made durable since start.", float64(s.Frames), "lane", l)
		send(count, "journal_commits_total", "Group commits since start.", float64(s.Commits), "lane", l)
		send(gauge, "journal_head", "Sequence of the newest durable frame.", float64(s.Head.Seq), "lane", l)
		send(gauge, "journal_bytes", "Size on disk.", float64(s.Bytes), "lane", l)
		send(gauge, "journal_pending_bytes", "Accepted and not yet durable.", float64(s.PendingBytes), "lane", l)
		send(gauge, "journal_last_commit_seconds", "Duration of the last write and fsync.", s.LastCommit.Seconds(), "lane", l)
		send(gauge, "journal_refusing", "1 while frames are refused for want of space.", flag(s.Refusing), "lane", l)
	}
}

func (g *Gateway) engineMetrics(send sender) {
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	e := g.engine.Stats()
	send(count, "engine_frames_total", "Frames handled since start.", float64(e.Frames))
	send(count, "engine_limited_frames_total", "Frames over the limit of their device, discarded.", float64(g.engine.Limited()))
	send(count, "engine_batches_total", "Turns of the state goroutine since start.", float64(e.Batches))
	send(count, "engine_failed_commits_total", "Commits that failed and were taken again.", float64(e.FailedCommits))
	send(gauge, "engine_longest_batch_seconds", "Longest turn since start.", e.LongestBatch.Seconds())
	send(gauge, "engine_devices", "Registered devices.", float64(e.Devices))
	send(gauge, "engine_points", "Registered points.", float64(e.Points))
	send(gauge, "engine_open_tickets", "Tickets that have not ended.", float64(e.OpenTickets))
	for lane, seq := range e.Cursors {
		head := g.journal.Head(grid.Lane(lane)).Seq
		send(gauge, "engine_waiting_frames", "Durable frames not yet handled.", float64(max(head, seq)-seq), "lane", grid.Lane(lane).String())
	}
	send(count, "unjournalled_alarms_total", "Smoke alarms told from memory, because the disk took nothing.", float64(g.unjournalled.Load()))
}

func (g *Gateway) rolloutMetrics(send sender) {
	_, profiles := g.engine.Standing()
	for _, r := range profiles {
		if n := len(r.Steps); n > 0 {
			by := "person"
			if r.Steps[n-1].By.Role == grid.RoleSystem {
				by = r.Steps[n-1].By.Name
			}
			send(prometheus.GaugeValue, "profile_rollout", "1: the newest step of a profile's roll-outs. By guard, a candidate was taken back by itself.", 1,
				"profile", r.Profile, "version", r.Version, "stage", string(r.Stage), "by", by)
		}
	}
}

func (g *Gateway) dispatchMetrics(send sender) {
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	for lane, s := range g.dispatcher.Stats().Lanes {
		l := grid.Lane(lane).String()
		send(gauge, "dispatch_waiting", "Deliveries on their way or waiting.", float64(s.Waiting), "lane", l)
		send(count, "dispatch_delivered_total", "Attempts that ended well.", float64(s.Delivered), "lane", l)
		send(count, "dispatch_failed_total", "Attempts that did not.", float64(s.Failed), "lane", l)
		send(count, "dispatch_dead_total", "Deliveries given up.", float64(s.Dead), "lane", l)
	}
}

func (g *Gateway) influxMetrics(send sender) {
	if g.writer == nil {
		return
	}
	count, gauge := prometheus.CounterValue, prometheus.GaugeValue
	s := g.writer.Status()
	send(gauge, "influx_up", "1 while writes succeed.", flag(s.Up))
	send(count, "influx_written_lines_total", "Points written since start.", float64(s.Written))
	send(count, "influx_rejected_lines_total", "Points InfluxDB will never take.", float64(s.Rejected))
	send(gauge, "influx_queue_bytes", "Points waiting for InfluxDB.", float64(s.QueueBytes))
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
