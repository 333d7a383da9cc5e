package load

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Rival is another program from MQTT to InfluxDB.
type Rival struct {
	Name    string
	Program string
	Config  string // a file with {{broker}}, {{influx}}, {{database}} and {{topic}}; "": that of Telegraf
}

// Comparison gives the same frames to a gateway and to another program, one after the other,
// through the same Mosquitto into the same InfluxDB, and counts what has come.
type Comparison struct {
	Rig   RigConfig
	Load  simulator.Load
	Rate  float64 // frames a second; 0: as fast as Mosquitto acknowledges them
	Count uint64
	Rival Rival
	Quiet time.Duration // nothing more has come for so long: that was all
}

// Compared is what one program did.
type Compared struct {
	Name      string  `json:"name"`
	Published uint64  `json:"published"`
	Reached   int64   `json:"reached"` // frames whose point is in InfluxDB
	Lost      int64   `json:"lost"`
	Points    int64   `json:"points"`
	Seconds   float64 `json:"seconds"` // from the first frame to the last point
	PerSecond float64 `json:"reached_per_s"`
	CPUEach   float64 `json:"cpu_us_a_frame"`
	Peak      float64 `json:"peak_bytes"`
	Load      float64 `json:"machine_load_before"`
}

// Run measures both; the gateway is the first.
func (c *Comparison) Run(ctx context.Context) (out []Compared, err error) {
	for _, measure := range []func(context.Context) (Compared, error){c.gateway, c.rival} {
		one, err := measure(ctx)
		if err != nil {
			return out, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (c *Comparison) gateway(ctx context.Context) (res Compared, err error) {
	cfg := c.Rig
	cfg.Mosquitto = true
	rig, err := OpenRig(ctx, cfg)
	if err != nil {
		return res, err
	}
	defer rig.Close()
	reg, err := c.Load.Registry()
	if err != nil {
		return res, err
	}
	if err := rig.Register(ctx, reg); err != nil {
		return res, err
	}
	return c.push(ctx, "gridgate", rig, rig.gateway, gatewayDatabase)
}

func (c *Comparison) rival(ctx context.Context) (res Compared, err error) {
	cfg := c.Rig
	cfg.Mosquitto = true
	if cfg.Dir != "" {
		cfg.Dir = filepath.Join(cfg.Dir, c.Rival.Name)
	}
	rig, err := openAround(ctx, cfg)
	if err != nil {
		return res, err
	}
	defer rig.Close()
	if err := rig.Influx.create(ctx, rivalDatabase); err != nil {
		return res, err
	}
	p, err := c.Rival.start(ctx, rig, c.Load.Envelope)
	if err != nil {
		return res, err
	}
	defer p.close()
	return c.push(ctx, c.Rival.Name, rig, p, rivalDatabase)
}

// rivalDatabase is where the other program writes.
const rivalDatabase = "rival"

// start starts the other program, and waits until it has subscribed.
func (r *Rival) start(ctx context.Context, rig *Rig, envelope string) (*program, error) {
	text := telegrafConfig(envelope)
	if r.Config != "" {
		b, err := os.ReadFile(r.Config)
		if err != nil {
			return nil, err
		}
		text = string(b)
	}
	topic := map[string]string{"native": "gridgate/up/+/+", "chirpstack": "application/+/device/+/event/up"}[envelope]
	broker := strings.TrimPrefix(rig.Broker.URL, "mqtt://")
	text = strings.NewReplacer("{{broker}}", broker, "{{influx}}", rig.Influx.URL, "{{database}}", rivalDatabase, "{{topic}}", topic).Replace(text)
	path := filepath.Join(rig.dir, r.Name+".conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := startProgram(rig.dir, r.Name, exec.Command(r.Program, "--config", path))
	if err != nil {
		return nil, err
	}
	select {
	case <-p.done:
		return nil, grid.Errorf(grid.Unavailable, "%s ended at once; its log:\n%s", r.Name, p.tail())
	case <-ctx.Done():
		p.close()
		return nil, ctx.Err()
	case <-time.After(4 * time.Second): // that it has subscribed nobody says; a frame too many shows as lost
	}
	return p, nil
}

// settled is how long InfluxDB takes no points before it is asked to count them. A count reads
// every field of every series: seconds of the processor that both programs need.
const settled = 2 * time.Second

// push sends the frames and waits until no more points come.
func (c *Comparison) push(ctx context.Context, name string, rig *Rig, p *program, database string) (res Compared, err error) {
	l := c.Load
	l.Broker, l.Rate, l.Count = rig.Broker, c.Rate, c.Count
	res = Compared{Name: name, Load: loadNow()}
	before, began := p.use(), time.Now()
	sent, err := l.Run(ctx)
	if err != nil {
		return res, err
	}
	res.Published = sent.Acked
	last, used, written := time.Now(), p.use(), int64(0)
	for asked := false; ; {
		now, err := rig.Influx.written(ctx)
		if err != nil {
			return res, err
		}
		if now > written {
			written, last, used, asked = now, time.Now(), p.use(), false
		}
		quiet := time.Since(last)
		if quiet > settled && !asked {
			asked = true
			if res.Points, res.Reached, err = rig.Influx.Points(ctx, database); err != nil {
				return res, err
			}
		}
		if asked && (res.Reached >= int64(res.Published) || quiet > c.Quiet) {
			break
		}
		select {
		case <-p.done:
			return res, grid.Errorf(grid.Unavailable, "%s has ended; its log:\n%s", name, p.tail())
		case <-ctx.Done():
			return res, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	res.Lost = int64(res.Published) - res.Reached
	res.Seconds = last.Sub(began).Seconds()
	res.PerSecond = float64(res.Reached) / max(res.Seconds, 0.001)
	res.CPUEach = float64((used.cpu - before.cpu).Microseconds()) / float64(max(res.Reached, 1))
	res.Peak = used.peak
	return res, nil
}

// loadNow is the machine's load average over a minute; 0 where it is not told.
func loadNow() (load float64) {
	b, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		fmt.Sscan(string(b), &load)
	}
	return load
}

// CompareHead and Row are the table of a comparison.
const CompareHead = "| | published | reached InfluxDB | not there | reached/s | CPU µs a frame | MB at most | load before |\n|---|---|---|---|---|---|---|---|"

// Row of the table.
func (c *Compared) Row() string {
	return fmt.Sprintf("| %s | %d | %d | %d | %.0f | %.1f | %.0f | %.1f |", c.Name, c.Published, c.Reached, c.Lost, c.PerSecond, c.CPUEach, c.Peak/1e6, c.Load)
}

// SaidOf compares in one sentence.
func SaidOf(all []Compared) string {
	if len(all) != 2 || all[1].CPUEach == 0 {
		return "Nothing to compare."
	}
	a, b := all[0], all[1]
	return fmt.Sprintf("%s takes %.1f µs of processor time a frame, %s %.1f: %.0f %%; of the frames that the broker has acknowledged %d and %d are not in InfluxDB.",
		a.Name, a.CPUEach, b.Name, b.CPUEach, 100*a.CPUEach/cmp.Or(b.CPUEach, 1), a.Lost, b.Lost)
}

// telegrafConfig has Telegraf do with a frame what it can: of the native topic it reads the
// payload's battery and contact by its binary parser, of ChirpStack's JSON the numbers that
// stand in it and the payload as text.
func telegrafConfig(envelope string) string {
	head := `[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 1000000
  omit_hostname = true
[[outputs.influxdb]]
  urls = ["{{influx}}"]
  database = "{{database}}"
  skip_database_creation = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://{{broker}}"]
  topics = ["{{topic}}"]
  qos = 1
  client_id = "telegraf"
  persistent_session = true
  max_undelivered_messages = 20000
`
	if envelope == "native" {
		return head + `  topic_tag = ""
  data_format = "binary"
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "+/+/+/+"
    tags = "_/_/device/_"
  [[inputs.mqtt_consumer.binary]]
    metric_name = "door"
    entries = [
      { bits = 16, omit = true },
      { name = "battery", type = "uint8" },
      { bits = 16, omit = true },
      { name = "open", type = "uint8" },
    ]
`
	}
	return head + `  topic_tag = ""
  data_format = "json_v2"
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "+/+/+/+/+/+"
    tags = "_/_/_/device/_/_"
  [[inputs.mqtt_consumer.json_v2]]
    measurement_name = "up"
    [[inputs.mqtt_consumer.json_v2.field]]
      path = "fCnt"
      optional = true
    [[inputs.mqtt_consumer.json_v2.field]]
      path = "data"
    [[inputs.mqtt_consumer.json_v2.field]]
      path = "rxInfo.0.rssi"
`
}
