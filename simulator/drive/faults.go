package drive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/fault"
	"gridgate/simulator/scenario"
)

// Fault is one that can be switched on and off, or that says why it cannot.
type Fault struct {
	Name  string `json:"name"`
	Label Text   `json:"label"`
	Then  Text   `json:"then"`
	On    bool   `json:"on"`
	Busy  bool   `json:"busy,omitempty"` // it is being switched
	Why   *Text  `json:"why,omitempty"`  // it is not possible here

	start, stop func(context.Context) error
}

// breaker has all faults, and switches one at a time.
type breaker struct {
	one  sync.Mutex
	list []*Fault
}

var errOff = grid.Errorf(grid.Conflict, "this cannot be broken here")

// openLinks puts proxies before the broker and before each unit, to be broken later.
func (d *Drive) openLinks(broker simulator.Broker, units []grid.Unit) (simulator.Broker, []grid.Unit, error) {
	u, err := url.Parse(broker.URL)
	if err != nil || u.Host == "" {
		return broker, nil, grid.Errorf(grid.Invalid, "broker is %q: want mqtt://host:port", broker.URL)
	}
	if u.Port() == "" {
		u.Host += ":1883"
	}
	if u.Scheme == "mqtt" || u.Scheme == "tcp" {
		if d.line, err = fault.OpenTCP(u.Host, d.cfg.Seed); err != nil {
			return broker, nil, err
		}
		broker.URL = "mqtt://" + d.line.Addr()
	}
	for i := range units {
		u, err := url.Parse(units[i].URL)
		if err != nil {
			return broker, nil, err
		}
		link, err := fault.OpenTCP(u.Host, d.cfg.Seed)
		if err != nil {
			return broker, nil, err
		}
		d.ways = append(d.ways, link)
		u.Host = link.Addr()
		units[i].URL = u.String()
	}
	return broker, units, nil
}

// openFaults lists them, with why some are not possible with this gateway.
func (d *Drive) openFaults() {
	own := &Text{"网关不是本程序启动的：其进程不归本页控制", "the gateway was not started by this program: its processes are not ours"}
	add := func(name string, label, then Text, why *Text, start, stop func(context.Context) error) {
		d.faults.list = append(d.faults.list, &Fault{Name: name, Label: label, Then: then, Why: why, start: start, stop: stop})
	}
	program := func(name string, label, then Text, missing string, missingWhy Text) {
		why := own
		if d.stage != nil {
			if why = nil; slices.Contains(d.stage.Missing, missing) {
				why = &missingWhy
			}
		}
		if why != nil {
			add(name, label, then, why, nil, nil)
			return
		}
		f, err := scenario.BuiltIn()[name](d.stage.Parts(), nil)
		if err != nil {
			add(name, label, then, &Text{err.Error(), err.Error()}, nil, nil)
			return
		}
		stop := f.Stop
		if name == "gateway.kill" {
			stop = func(ctx context.Context) error { return d.answersAgain(ctx, f.Stop) }
		}
		add(name, label, then, nil, f.Start, stop)
	}
	program("broker.down", Text{"拔掉消息代理", "Unplug the broker"}, Text{"设备消息在前端排队，恢复后补传，一帧不丢", "what devices say waits before it and comes after: no frame is lost"},
		"mosquitto", Text{"本机没有 Mosquitto：网关自带的代理与网关同进程", "this machine has no Mosquitto: the gateway's own broker is part of the gateway"})
	program("influx.down", Text{"停止 InfluxDB", "Stop InfluxDB"}, Text{"报警照常；读数在网关排队", "alarms go on; readings wait in the gateway"},
		"influxd", Text{"本机没有 influxd", "this machine has no influxd"})
	program("gateway.kill", Text{"断电：kill -9 网关", "Power cut: kill -9 the gateway"}, Text{"已确认的都在盘上；再启动后接着做", "all it acknowledged is on disk; started again, it goes on"}, "", Text{})
	d.addLinks(add)
}

// answersAgain starts the gateway and waits until it answers, whatever else is broken still:
// it is not ready while its InfluxDB is away, and does its work all the same.
func (d *Drive) answersAgain(ctx context.Context, start func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- start(ctx) }()
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(100 * time.Millisecond):
		}
		if d.gateway.ask(ctx, http.MethodGet, "/readyz", "", nil, nil) == nil {
			cancel()
			<-done
			return nil
		}
	}
}

// addLinks are the faults of what stands between the programs.
func (d *Drive) addLinks(add func(name string, label, then Text, why *Text, start, stop func(context.Context) error)) {
	do := func(f func()) func(context.Context) error { return func(context.Context) error { f(); return nil } }
	line := func(c fault.Conditions) func(context.Context) error {
		return do(func() { d.line.Change(func(now *fault.Conditions) { *now = c }) })
	}
	var tls *Text
	if d.line == nil {
		tls = &Text{"到代理的连接是 TLS", "the way to the broker is TLS"}
	}
	add("net.partition", Text{"现场断网", "Cut the sites off"}, Text{"网络服务器与代理之间断开；恢复后补传", "no way from the network server to the broker; what was said comes afterwards"}, tls, line(fault.Conditions{Cut: true}), line(fault.Conditions{}))
	add("link.loss", Text{"链路很差", "A bad line"}, Text{"300 ms 延迟，20 % 分段重传", "300 ms of delay, a fifth of all segments sent again"}, tls, line(fault.Conditions{Loss: 0.2, Delay: 300 * time.Millisecond}), line(fault.Conditions{}))
	air := func(c fault.Conditions) func(context.Context) error {
		return do(func() { d.air.Change(func(now *fault.Conditions) { *now = c }) })
	}
	add("radio.loss", Text{"无线丢包 30 %", "Radio loses 30 %"}, Text{"三成的帧到不了网络服务器：没人听见的不算发送", "three of ten frames are heard by nobody: they are not counted as sent"}, nil, air(fault.Conditions{Loss: 0.3}), air(fault.Conditions{}))
	add("radio.twice", Text{"消息重复", "Frames come twice"}, Text{"每一帧都来两次：台账记为重复，不产生第二张工单", "each frame comes twice: the ledger counts duplicates, no second ticket"}, nil, air(fault.Conditions{Duplicate: 1}), air(fault.Conditions{}))
	ways := func(cut bool) func(context.Context) error {
		return do(func() {
			for _, w := range d.ways {
				w.Change(func(c *fault.Conditions) { c.Cut = cut })
			}
		})
	}
	add("units.cut", Text{"单位网络中断", "Cut the units off"}, Text{"派单重试直到单位收到", "messages are tried again until the units have them"}, nil, ways(true), ways(false))
}

// sameThing are faults of which one takes the place of the other.
var sameThing = [][]string{{"net.partition", "link.loss"}, {"radio.loss", "radio.twice"}}

// Break switches a fault on or off.
func (d *Drive) Break(ctx context.Context, name string, on bool) error {
	k := slices.IndexFunc(d.faults.list, func(f *Fault) bool { return f.Name == name })
	if k < 0 {
		return grid.Errorf(grid.NotFound, "fault is %q: want one of the list", name)
	}
	f := d.faults.list[k]
	if f.Why != nil {
		return fmt.Errorf("fault %s: %s: %w", name, f.Why.EN, errOff)
	}
	d.faults.one.Lock()
	defer d.faults.one.Unlock()
	for _, group := range sameThing {
		for _, other := range d.faults.list {
			if on && other != f && slices.Contains(group, name) && slices.Contains(group, other.Name) && d.isOn(other) {
				d.mark(other, false, false)
			}
		}
	}
	if d.isOn(f) == on {
		return nil
	}
	d.mark(f, !on, true)
	// Whoever asked may be gone: what is begun is brought to its end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 40*time.Second)
	defer cancel()
	do, word := f.stop, Text{"已恢复：", "mended: "}
	if on {
		do, word = f.start, Text{"故障：", "broken: "}
	}
	err := do(ctx)
	if err != nil {
		d.mark(f, !on, false)
		return err
	}
	d.mark(f, on, false)
	d.say(Line{Kind: "fault", Fault: name, Text: Text{word.ZH + f.Label.ZH, word.EN + f.Label.EN}})
	return nil
}

func (d *Drive) isOn(f *Fault) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return f.On
}

func (d *Drive) mark(f *Fault, on, busy bool) {
	d.mu.Lock()
	f.On, f.Busy = on, busy
	d.mu.Unlock()
	d.changed()
}

// mendAll ends what is broken, so that what is under way can end.
func (d *Drive) mendAll() error {
	var errs []error
	for _, f := range d.faults.list {
		if d.isOn(f) && f.Name != "gateway.kill" && f.Name != "influx.down" {
			errs = append(errs, d.Break(context.Background(), f.Name, false))
		}
	}
	return errors.Join(errs...)
}
