package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/fault"
	"gridgate/simulator/verdict"
)

// FaultWords is one line of the list of faults.
type FaultWords struct {
	Name string       `json:"name"`
	With string       `json:"with,omitempty"` // its parameters, as they are written
	Text verdict.Text `json:"text"`
}

// with reads what stands under with:, strictly.
func with[T any](m map[string]any, into *T) error {
	if len(m) == 0 {
		return nil
	}
	b, err := yaml.Marshal(m)
	if err != nil {
		return err
	}
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(into); err != nil {
		return grid.Errorf(grid.Invalid, "fault: with: %s", strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	return nil
}

// doing is a fault of two functions.
type doing struct {
	start, stop func(context.Context) error
}

func (d doing) Start(ctx context.Context) error { return d.start(ctx) }
func (d doing) Stop(ctx context.Context) error  { return d.stop(ctx) }

func now(f func()) func(context.Context) error {
	return func(context.Context) error { f(); return nil }
}

// share reads a percentage.
func share(key string, percent float64) (float64, error) {
	if percent <= 0 || percent > 100 {
		return 0, grid.Errorf(grid.Invalid, "fault: %s is %g: want more than 0, up to 100", key, percent)
	}
	return percent / 100, nil
}

// onWire is what faults of links and of messages want to know.
type onWire struct {
	On        Names   `yaml:"on"`
	Percent   float64 `yaml:"percent"`
	Delay     Span    `yaml:"delay"`
	Jitter    Span    `yaml:"jitter"`
	Bandwidth int     `yaml:"bandwidth"`
	Bytes     int64   `yaml:"bytes"`
}

// wireFault is one condition: which keys it wants, how it is put, and how taken away.
type wireFault struct {
	keys string // of onWire, beside on
	udp  bool   // TCP hides it
	put  func(*fault.Conditions, onWire, float64)
	end  func(*fault.Conditions)
}

func wireFaults() map[string]wireFault {
	return map[string]wireFault{
		"loss":      {"percent", false, func(c *fault.Conditions, _ onWire, p float64) { c.Loss = p }, func(c *fault.Conditions) { c.Loss = 0 }},
		"duplicate": {"percent", true, func(c *fault.Conditions, _ onWire, p float64) { c.Duplicate = p }, func(c *fault.Conditions) { c.Duplicate = 0 }},
		"reorder":   {"percent", true, func(c *fault.Conditions, _ onWire, p float64) { c.Reorder = p }, func(c *fault.Conditions) { c.Reorder = 0 }},
		"corrupt":   {"percent", false, func(c *fault.Conditions, _ onWire, p float64) { c.Corrupt = p }, func(c *fault.Conditions) { c.Corrupt = 0 }},
		"delay": {"delay jitter", false, func(c *fault.Conditions, w onWire, _ float64) { c.Delay, c.Jitter = w.Delay.of(), w.Jitter.of() },
			func(c *fault.Conditions) { c.Delay, c.Jitter = 0, 0 }},
		"bandwidth": {"bandwidth", false, func(c *fault.Conditions, w onWire, _ float64) { c.Bandwidth = w.Bandwidth }, func(c *fault.Conditions) { c.Bandwidth = 0 }},
		"blackhole": {"", false, func(c *fault.Conditions, _ onWire, _ float64) { c.BlackHole = true }, func(c *fault.Conditions) { c.BlackHole = false }},
		"cut":       {"", false, func(c *fault.Conditions, _ onWire, _ float64) { c.Cut = true }, func(c *fault.Conditions) { c.Cut = false }},
		"after":     {"bytes", false, func(c *fault.Conditions, w onWire, _ float64) { c.After = w.Bytes }, func(c *fault.Conditions) { c.After = 0 }},
	}
}

// read checks that what the fault wants is said, and nothing else.
func (f wireFault) read(m map[string]any) (w onWire, p float64, err error) {
	if err := with(m, &w); err != nil {
		return w, 0, err
	}
	for k := range m {
		if k != "on" && !oneOf(k, f.keys) {
			return w, 0, grid.Errorf(grid.Invalid, "fault: with.%s is not known here: want %s", k, strings.TrimSpace("on "+f.keys))
		}
	}
	for _, name := range w.On {
		kind, id, _ := strings.Cut(name, ":")
		if !slices.Contains(linkNames[:], name) && !(kind == "unit" && id != "") {
			return w, 0, grid.Errorf(grid.Invalid, "fault: on is %q: want %s or unit:<id>", name, strings.Join(linkNames[:], ", "))
		}
		if f.udp && !datagrams(name) {
			return w, 0, grid.Errorf(grid.Invalid, "fault: on is %q, of TCP, which hides it: want coap or coaps, or the fault mqtt.*", name)
		}
	}
	switch f.keys {
	case "percent":
		p, err = share("percent", w.Percent)
	case "delay jitter":
		if w.Delay <= 0 && w.Jitter <= 0 {
			err = grid.Errorf(grid.Invalid, "fault: delay is missing: want a real time, for example 200ms")
		}
	case "bandwidth":
		if w.Bandwidth <= 0 {
			err = grid.Errorf(grid.Invalid, "fault: bandwidth is %d: want bytes a second", w.Bandwidth)
		}
	case "bytes":
		if w.Bytes <= 0 {
			err = grid.Errorf(grid.Invalid, "fault: bytes is %d: want one at least", w.Bytes)
		}
	}
	return w, p, err
}

// maker makes a fault of what stands under with:.
type maker = func(Parts, map[string]any) (Fault, error)

func onLinks(f wireFault) maker {
	return func(p Parts, m map[string]any) (Fault, error) {
		w, percent, err := f.read(m)
		if err != nil {
			return nil, err
		}
		picked, err := p.links().pick(w.On, f.udp)
		if err != nil {
			return nil, err
		}
		change := func(how func(*fault.Conditions)) func(context.Context) error {
			return now(func() {
				for _, link := range picked {
					link.Change(how)
				}
			})
		}
		return doing{change(func(c *fault.Conditions) { f.put(c, w, percent) }), change(f.end)}, nil
	}
}

func onMessages(f wireFault) maker {
	return func(p Parts, m map[string]any) (Fault, error) {
		w, percent, err := f.read(m)
		switch {
		case err != nil:
			return nil, err
		case len(w.On) > 0:
			return nil, grid.Errorf(grid.Invalid, "fault: with.on is not known here: want it for link.* alone")
		case p.links().messages == nil:
			return nil, fmt.Errorf("nothing goes by MQTT: %w", ErrNotPlayed)
		}
		x := p.links().messages
		return doing{now(func() { x.Change(func(c *fault.Conditions) { f.put(c, w, percent) }) }), now(func() { x.Change(f.end) })}, nil
	}
}

// once does something to links and is over.
func once(udp bool, do func(fault.Link)) maker {
	return func(p Parts, m map[string]any) (Fault, error) {
		w, _, err := wireFault{udp: udp}.read(m)
		if err != nil {
			return nil, err
		}
		picked, err := p.links().pick(w.On, udp)
		if err != nil {
			return nil, err
		}
		return doing{now(func() {
			for _, link := range picked {
				do(link)
			}
		}), now(func() {})}, nil
	}
}

// influxAnswers are the beginnings of the names of what a proxy before InfluxDB does.
var influxAnswers = []string{"influx.4", "influx.5", "influx.slow", "influx.full", "influx.cut", "influx.partial"}

// answering are the faults of InfluxDB, with the words that 1.8 has for them.
func answering() map[string]fault.Answers {
	return map[string]fault.Answers{
		"influx.401":  {Status: 401, Body: `{"error":"authorization failed"}`},
		"influx.404":  {Status: 404, Body: `{"error":"database not found: \"gridgate\""}`, Writes: true},
		"influx.413":  {Status: 413, Body: `{"error":"Request Entity Too Large"}`, Writes: true},
		"influx.429":  {Status: 429, Body: `{"error":"too many requests"}`, RetryAfter: 1, Writes: true},
		"influx.503":  {Status: 503, Body: `{"error":"timeout"}`},
		"influx.full": {Status: 500, Body: `{"error":"[shard 1] engine: error writing WAL entry: write /var/lib/influxdb/wal/gridgate/autogen/1/_00001.wal: no space left on device"}`, Writes: true},
	}
}

func onInflux(read func(map[string]any) (fault.Answers, error)) maker {
	return func(p Parts, m map[string]any) (Fault, error) {
		a, err := read(m)
		if err != nil {
			return nil, err
		}
		h := p.links().influx
		if h == nil {
			return nil, fmt.Errorf("InfluxDB is not ours: %w", ErrNotPlayed)
		}
		return doing{now(func() { h.Change(func(x *fault.Answers) { *x = a }) }), now(func() { h.Change(func(x *fault.Answers) { *x = fault.Answers{} }) })}, nil
	}
}

func nothing[T any](a T) func(map[string]any) (T, error) {
	return func(m map[string]any) (T, error) {
		var none struct{}
		return a, with(m, &none)
	}
}

func slowly(m map[string]any) (fault.Answers, error) {
	var w struct {
		Delay Span `yaml:"delay"`
	}
	if err := with(m, &w); err != nil {
		return fault.Answers{}, err
	}
	if w.Delay <= 0 {
		return fault.Answers{}, grid.Errorf(grid.Invalid, "fault: delay is missing: want a real time, for example 2s")
	}
	return fault.Answers{Wait: w.Delay.of()}, nil
}

func cutAt(m map[string]any) (fault.Answers, error) {
	w := struct {
		At string `yaml:"at"`
	}{"request"}
	if err := with(m, &w); err != nil {
		return fault.Answers{}, err
	}
	cut := map[string]fault.Cut{"request": fault.CutRequest, "answer": fault.CutAnswer}[w.At]
	if cut == fault.Whole {
		return fault.Answers{}, grid.Errorf(grid.Invalid, "fault: at is %q: want request or answer", w.At)
	}
	return fault.Answers{Cut: cut, Writes: true}, nil
}

func partly(m map[string]any) (fault.Answers, error) {
	var w struct {
		OneOf int `yaml:"one_of"`
	}
	if err := with(m, &w); err != nil {
		return fault.Answers{}, err
	}
	if w.OneOf < 2 {
		return fault.Answers{}, grid.Errorf(grid.Invalid, "fault: one_of is %d: want 2 or more: one of so many lines is refused", w.OneOf)
	}
	return fault.Answers{Partial: w.OneOf, Writes: true}, nil
}

// ofUnit is what faults of a unit want to know.
type ofUnit struct {
	Unit  string `yaml:"unit"`
	Delay Span   `yaml:"delay"`
	How   string `yaml:"how"`
}

func onUnit(keys string, answers func(ofUnit) fault.Answers) maker {
	return func(p Parts, m map[string]any) (Fault, error) {
		var w ofUnit
		if err := with(m, &w); err != nil {
			return nil, err
		}
		for k := range m {
			if !oneOf(k, keys) {
				return nil, grid.Errorf(grid.Invalid, "fault: with.%s is not known here: want %s", k, keys)
			}
		}
		switch {
		case w.Unit == "":
			return nil, grid.Errorf(grid.Invalid, "fault: unit is missing: want one of units")
		case oneOf("delay", keys) && w.Delay <= 0:
			return nil, grid.Errorf(grid.Invalid, "fault: delay is missing: want a real time, for example 2s")
		case oneOf("how", keys) && w.How != "" && !oneOf(w.How, "done taken"):
			return nil, grid.Errorf(grid.Invalid, "fault: how is %q: want done or taken", w.How)
		}
		if oneOf("how", keys) && w.How != "taken" {
			return lyingPeople(p, w.Unit)
		}
		h := p.links().units[w.Unit]
		if h == nil {
			return nil, fmt.Errorf("unit %s has no system of ours: %w", w.Unit, ErrNotPlayed)
		}
		a := answers(w)
		return doing{now(func() { h.Change(func(x *fault.Answers) { *x = a }) }), now(func() { h.Change(func(x *fault.Answers) { *x = fault.Answers{} }) })}, nil
	}
}

// lyingPeople report what they have not done, until they are sent again.
func lyingPeople(p Parts, unit string) (Fault, error) {
	if p.Behave == nil {
		return nil, fmt.Errorf("unit %s is not played: %w", unit, ErrNotPlayed)
	}
	lie := func(is bool) func(context.Context) error {
		return func(context.Context) error {
			return p.Behave(unit, func(_ *simulator.Behaviour, people *simulator.People) { people.Lies = is })
		}
	}
	return doing{lie(true), lie(false)}, nil
}

func onLine(keys string, start, stop func(l *fault.Lines, name string, share float64) error) maker {
	return func(p Parts, m map[string]any) (Fault, error) {
		var w struct {
			Line    string  `yaml:"line"`
			Percent float64 `yaml:"percent"`
		}
		if err := with(m, &w); err != nil {
			return nil, err
		}
		var noise float64
		if oneOf("percent", keys) {
			var err error
			if noise, err = share("percent", w.Percent); err != nil {
				return nil, err
			}
		} else if w.Percent != 0 {
			return nil, grid.Errorf(grid.Invalid, "fault: with.percent is not known here: want %s", keys)
		}
		names := p.Lines
		if w.Line != "" {
			names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n != w.Line })
		}
		if len(names) == 0 || p.links().lines == nil {
			return nil, fmt.Errorf("no serial line %s is ours: %w", w.Line, ErrNotPlayed)
		}
		each := func(do func(*fault.Lines, string, float64) error) func(context.Context) error {
			return func(context.Context) error {
				var err error
				for _, n := range names {
					err = errors.Join(err, do(p.links().lines, n, noise))
				}
				return err
			}
		}
		return doing{each(start), each(stop)}, nil
	}
}

func diskFull(p Parts, m map[string]any) (Fault, error) {
	var w struct {
		LeaveKiB int64 `yaml:"leave_kib"`
	}
	if err := with(m, &w); err != nil {
		return nil, err
	}
	if w.LeaveKiB < 0 {
		return nil, grid.Errorf(grid.Invalid, "fault: leave_kib is %d: want 0 or more", w.LeaveKiB)
	}
	if p.Disk == nil {
		return nil, fmt.Errorf("the gateway has no disk of ours (it takes the right to mount): %w", ErrNotPlayed)
	}
	return doing{func(context.Context) error { return p.Disk.Hold(w.LeaveKiB << 10) }, func(context.Context) error { return p.Disk.Clear() }}, nil
}

func partition(p Parts, m map[string]any) (Fault, error) {
	if _, err := nothing(0)(m); err != nil {
		return nil, err
	}
	if p.Network == nil {
		return nil, fmt.Errorf("the broker has no network of ours (it takes broker: mosquitto, and the right to make one): %w", ErrNotPlayed)
	}
	return doing{p.Network.Unplug, p.Network.Plug}, nil
}

// restartBroker ends the broker; what it kept is there again when it comes back, or not.
func restartBroker(p Parts, m map[string]any) (Fault, error) {
	w := struct {
		Persistence bool `yaml:"persistence"`
	}{true}
	if err := with(m, &w); err != nil {
		return nil, err
	}
	if p.Mosquitto == nil {
		return nil, fmt.Errorf("the broker is not ours: %w", ErrNotPlayed)
	}
	return doing{func(context.Context) error { return p.Mosquitto.Stop() }, func(ctx context.Context) error {
		if !w.Persistence {
			if err := os.Remove(p.BrokerStore); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return p.Mosquitto.Start(ctx)
	}}, nil
}

// links of parts that have none are empty.
func (p Parts) links() *links {
	if p.broken == nil {
		return &links{}
	}
	return p.broken
}

// linkFaults are all faults beside those of processes.
func linkFaults() Faults {
	out := Faults{
		"link.rebind":    once(true, fault.Link.Rebind),
		"link.reset":     once(false, fault.Link.Reset),
		"influx.slow":    onInflux(slowly),
		"influx.cut":     onInflux(cutAt),
		"influx.partial": onInflux(partly),
		"unit.down":      onUnit("unit", func(ofUnit) fault.Answers { return fault.Answers{Cut: fault.Refused} }),
		"unit.slow":      onUnit("unit delay", func(w ofUnit) fault.Answers { return fault.Answers{Wait: w.Delay.of()} }),
		"unit.lying":     onUnit("unit how", func(ofUnit) fault.Answers { return fault.Answers{Status: 200, Body: `{"ref":"filed"}`} }),
		"serial.unplug": onLine("line", func(l *fault.Lines, n string, _ float64) error { return l.Unplug(n) },
			func(l *fault.Lines, n string, _ float64) error { l.Plug(n); return nil }),
		"serial.noise": onLine("line percent", func(l *fault.Lines, n string, s float64) error { l.Noise(n, s); return nil },
			func(l *fault.Lines, n string, _ float64) error { l.Noise(n, 0); return nil }),
		"disk.full":      diskFull,
		"net.partition":  partition,
		"broker.restart": restartBroker,
	}
	for name, f := range wireFaults() {
		out["link."+name] = onLinks(f)
		if name != "bandwidth" && name != "cut" && name != "after" {
			f.udp = false
			out["mqtt."+name] = onMessages(f)
		}
	}
	for name, a := range answering() {
		out[name] = onInflux(nothing(a))
	}
	return out
}

// checkFault says what is wrong with a fault that is known here; one that is not may be of
// Options.Faults.
func checkFault(f *FaultUse) error {
	make := BuiltIn()[f.Name]
	if make == nil {
		return nil
	}
	_, err := make(Parts{}, f.With)
	if errors.Is(err, ErrNotPlayed) {
		return nil // of course: there is no gateway yet
	}
	return err
}

// FaultList is every fault with its parameters and its words.
func FaultList() []FaultWords {
	return []FaultWords{
		{"link.loss", "on percent", verdict.Text{ZH: "丢包；TCP 上为重传的等待", EN: "datagrams vanish; on TCP a segment comes when it is sent again"}},
		{"link.delay", "on delay jitter", verdict.Text{ZH: "单向时延与抖动（真实时间）", EN: "each way later, by chance up to jitter more (real time)"}},
		{"link.duplicate", "on percent", verdict.Text{ZH: "数据报重复（UDP）", EN: "datagrams come twice (UDP)"}},
		{"link.reorder", "on percent", verdict.Text{ZH: "数据报乱序（UDP）", EN: "the next datagram overtakes (UDP)"}},
		{"link.corrupt", "on percent", verdict.Text{ZH: "数据报或 TCP 段中一位翻转", EN: "a bit is turned in a datagram, or in a segment as the application reads it"}},
		{"link.bandwidth", "on bandwidth", verdict.Text{ZH: "带宽受限（字节/秒）", EN: "so many bytes a second"}},
		{"link.cut", "on", verdict.Text{ZH: "连接被重置，新连接亦然", EN: "connections are reset, new ones too"}},
		{"link.reset", "on", verdict.Text{ZH: "现有连接重置一次", EN: "what is connected is reset once"}},
		{"link.blackhole", "on", verdict.Text{ZH: "黑洞：半开连接，无人知晓", EN: "nothing passes, connections stay half-open"}},
		{"link.after", "on bytes", verdict.Text{ZH: "新连接在若干字节后被重置", EN: "new connections are reset after so many bytes"}},
		{"link.rebind", "on", verdict.Text{ZH: "NAT 重新绑定：会话中途换源端口（UDP）", EN: "NAT rebinding: another source port in mid-session (UDP)"}},
		{"mqtt.loss", "percent", verdict.Text{ZH: "消息在到达代理前丢失", EN: "messages vanish before the broker"}},
		{"mqtt.duplicate", "percent", verdict.Text{ZH: "消息重复发布", EN: "messages are published twice"}},
		{"mqtt.reorder", "percent", verdict.Text{ZH: "同一设备的消息乱序", EN: "the next message of a device overtakes"}},
		{"mqtt.delay", "delay jitter", verdict.Text{ZH: "消息延迟（真实时间）", EN: "messages come later (real time)"}},
		{"mqtt.corrupt", "percent", verdict.Text{ZH: "消息内容中一位翻转", EN: "a bit of the message is turned"}},
		{"mqtt.blackhole", "", verdict.Text{ZH: "消息滞留，恢复后到达", EN: "messages are kept, and come when it is over"}},
		{"broker.down", "", verdict.Text{ZH: "代理停机", EN: "the broker is stopped"}},
		{"broker.kill", "", verdict.Text{ZH: "代理断电", EN: "the broker is killed"}},
		{"broker.freeze", "", verdict.Text{ZH: "代理卡死", EN: "the broker hangs"}},
		{"broker.restart", "persistence", verdict.Text{ZH: "代理重启；persistence: false 时忘记一切", EN: "the broker restarts; with persistence: false it has forgotten all"}},
		{"influx.down", "", verdict.Text{ZH: "InfluxDB 停机", EN: "InfluxDB is stopped"}},
		{"influx.freeze", "", verdict.Text{ZH: "InfluxDB 卡死", EN: "InfluxDB hangs"}},
		{"influx.401", "", verdict.Text{ZH: "令牌被拒", EN: "the token is refused"}},
		{"influx.404", "", verdict.Text{ZH: "数据库不存在", EN: "the database is gone"}},
		{"influx.413", "", verdict.Text{ZH: "批次过大", EN: "every batch is too large"}},
		{"influx.429", "", verdict.Text{ZH: "限流，要求稍候", EN: "too many requests, wait"}},
		{"influx.503", "", verdict.Text{ZH: "服务不可用", EN: "not available"}},
		{"influx.slow", "delay", verdict.Text{ZH: "响应缓慢（真实时间）", EN: "answers late (real time)"}},
		{"influx.full", "", verdict.Text{ZH: "磁盘已满（500，与真机同词）", EN: "its disk is full (500, in its own words)"}},
		{"influx.cut", "at", verdict.Text{ZH: "连接断在请求体（request）或应答（answer）中", EN: "cut in the middle of the body (request), or of the answer after the write (answer)"}},
		{"influx.partial", "one_of", verdict.Text{ZH: "部分写入：每若干行拒一行", EN: "partial write: one of so many lines is refused"}},
		{"unit.down", "unit", verdict.Text{ZH: "单位系统断线", EN: "the unit's system is away"}},
		{"unit.slow", "unit delay", verdict.Text{ZH: "单位系统缓慢（真实时间）", EN: "the unit's system is slow (real time)"}},
		{"unit.lying", "unit how", verdict.Text{ZH: "谎报：未做却报完成（done），或系统假称收到（taken）", EN: "its people report what they have not done (done), or its system says received and throws it away (taken)"}},
		{"serial.unplug", "line", verdict.Text{ZH: "串口拔出，重新插上后为另一终端", EN: "unplugged; comes back as another terminal"}},
		{"serial.noise", "line percent", verdict.Text{ZH: "串口噪声：字节中一位翻转", EN: "noise: a bit is turned in so many bytes"}},
		{"disk.full", "leave_kib", verdict.Text{ZH: "网关磁盘写满（需挂载权限）", EN: "the gateway's disk is full (takes the right to mount)"}},
		{"net.partition", "", verdict.Text{ZH: "代理与其余各方网络隔离（需网络命名空间）", EN: "the broker is parted from all others (takes network namespaces)"}},
		{"gateway.kill", "", verdict.Text{ZH: "网关断电（kill -9）", EN: "the gateway is killed (kill -9)"}},
		{"gateway.stop", "", verdict.Text{ZH: "网关停止", EN: "the gateway is stopped"}},
		{"gateway.freeze", "", verdict.Text{ZH: "网关卡死", EN: "the gateway hangs"}},
	}
}
