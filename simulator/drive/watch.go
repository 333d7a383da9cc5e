package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Line is one thing that was done or that came of it.
type Line struct {
	N        int       `json:"n"`
	At       time.Time `json:"at"`   // the city's time
	Kind     string    `json:"kind"` // act, fault, unit, alarm, ticket, delivery, gateway
	Text     Text      `json:"text"`
	Point    string    `json:"point,omitempty"`
	Ticket   string    `json:"ticket,omitempty"`
	Unit     string    `json:"unit,omitempty"`
	Fault    string    `json:"fault,omitempty"`
	Priority int       `json:"priority,omitempty"`
	Done     bool      `json:"done,omitempty"` // something is over: normal again, closed
}

// Alarm is one that stands, as the gateway has it.
type Alarm struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Title    Text      `json:"title"`
	Point    string    `json:"point"`
	Priority int       `json:"priority"`
	Active   bool      `json:"active"`
	Acked    bool      `json:"acked"`
	Raised   time.Time `json:"raised"`
	Ticket   string    `json:"ticket,omitempty"`
}

// Ticket is one that is not over.
type Ticket struct {
	ID       string    `json:"id"`
	Case     string    `json:"case"`
	Type     string    `json:"type"`
	Title    Text      `json:"title"`
	Priority int       `json:"priority"`
	State    string    `json:"state"`
	Words    Text      `json:"words"` // of the state
	Point    string    `json:"point,omitempty"`
	Opened   time.Time `json:"opened"`
}

// say adds a line to the log.
func (d *Drive) say(l Line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines++
	l.N = d.lines
	if l.At.IsZero() {
		l.At = d.clock.Now().UTC()
	}
	if len(d.log) == mostLines {
		d.log = slices.Delete(d.log, 0, mostLines/4)
	}
	d.log = append(d.log, l)
	d.wakeAll()
}

// watch follows what the gateway makes of it, and connects again when it is back.
func (d *Drive) watch(ctx context.Context) error {
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		err := d.gateway.follow(ctx, func(ctx context.Context) error {
			pause = 100 * time.Millisecond
			d.setUp(true)
			return d.catchUp(ctx)
		}, d.take)
		if ctx.Err() != nil {
			return nil
		}
		if code := grid.CodeOf(err); code == grid.Unauthorized || code == grid.Forbidden {
			return err
		}
		d.setUp(false)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
	return nil
}

func (d *Drive) setUp(up bool) {
	d.mu.Lock()
	was, first := d.up, d.lines == 0 && len(d.log) == 0
	d.up = up
	d.mu.Unlock()
	switch {
	case was == up:
	case up && first:
		d.say(Line{Kind: "gateway", Done: true, Text: Text{"网关已连接", "connected to the gateway"}})
	case up:
		d.say(Line{Kind: "gateway", Done: true, Text: Text{"网关恢复应答", "the gateway answers again"}})
	default:
		d.say(Line{Kind: "gateway", Text: Text{"网关没有应答", "the gateway does not answer"}})
	}
}

// rowOverlap is how far back lists are read again: a row may have been on its way.
const rowOverlap = time.Minute

// catchUp reads what has changed while nobody followed.
func (d *Drive) catchUp(ctx context.Context) error {
	since := d.clock.Start.Add(-rowOverlap)
	alarms, err := list[json.RawMessage](ctx, d.gateway, "alarms", since)
	if err != nil {
		return err
	}
	tickets, err := list[json.RawMessage](ctx, d.gateway, "tickets", since)
	if err != nil {
		return err
	}
	slices.Reverse(alarms) // oldest first, as they came
	slices.Reverse(tickets)
	for _, a := range alarms {
		d.take("alarm", a)
	}
	for _, t := range tickets {
		d.take("ticket", t)
	}
	return nil
}

// take takes one message of the stream.
func (d *Drive) take(name string, data []byte) {
	switch name {
	case "alarm":
		read(data, d.takeAlarm)
	case "ticket":
		read(data, d.takeTicket)
	case "move":
		read(data, d.takeMove)
	case "delivery":
		read(data, d.takeDelivery)
	}
}

func read[T any](data []byte, take func(T)) {
	var v T
	if json.Unmarshal(data, &v) == nil { // what we cannot read is not for us
		take(v)
	}
}

// place finds a point of this city; nil: it is none.
func (d *Drive) place(point string) *Point {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.index[point]
}

// placeName is how people call a point.
func (d *Drive) placeName(point string) Text {
	if at := d.place(point); at != nil {
		return at.Name
	}
	return Text{point, point}
}

func (d *Drive) takeAlarm(a grid.Alarm) {
	at := d.place(a.Point)
	if at == nil {
		return
	}
	title := titleOf(string(a.Type))
	d.mu.Lock()
	was, known := d.alarms[a.ID]
	now := Alarm{ID: a.ID, Type: string(a.Type), Title: title, Point: a.Point, Priority: int(a.Priority), Active: a.Active, Acked: a.Acked, Raised: a.Raised, Ticket: a.Ticket}
	d.alarms[a.ID] = now
	d.wakeAll()
	d.mu.Unlock()
	line := Line{Kind: "alarm", Point: a.Point, Ticket: a.Ticket, Priority: int(a.Priority)}
	switch {
	case a.Active && (!known || !was.Active):
		line.Text = Text{fmt.Sprintf("报警 P%d %s：%s", a.Priority, title.ZH, at.Name.ZH), fmt.Sprintf("alarm P%d %s: %s", a.Priority, title.EN, at.Name.EN)}
	case !a.Active && known && was.Active:
		line.Done = true
		line.Text = Text{fmt.Sprintf("恢复 %s：%s", title.ZH, at.Name.ZH), fmt.Sprintf("normal again, %s: %s", title.EN, at.Name.EN)}
	default:
		return
	}
	d.say(line)
}

// over are states in which a ticket stays.
var over = []grid.TicketState{grid.TicketClosed, grid.TicketCancelled, grid.TicketMerged, grid.TicketNotFiled, grid.TicketForcedClose}

func (d *Drive) takeTicket(t grid.Ticket) {
	at := d.place(t.Point)
	if at == nil {
		return
	}
	title, ended := titleOf(string(t.Type)), slices.Contains(over, t.State)
	d.mu.Lock()
	was, known := d.tickets[t.ID]
	d.tickets[t.ID] = Ticket{ID: t.ID, Case: t.Case, Type: string(t.Type), Title: title, Priority: int(t.Priority), State: string(t.State), Words: word(string(t.State)), Point: t.Point, Opened: t.Opened}
	d.wakeAll()
	d.mu.Unlock()
	line := Line{Kind: "ticket", Point: t.Point, Ticket: t.ID, Priority: int(t.Priority)}
	switch {
	case !known:
		line.Text = Text{fmt.Sprintf("工单 %s 开立：P%d %s，%s", t.Case, t.Priority, title.ZH, at.Name.ZH), fmt.Sprintf("ticket %s opened: P%d %s, %s", t.Case, t.Priority, title.EN, at.Name.EN)}
	case was.Priority != int(t.Priority):
		line.Text = Text{fmt.Sprintf("工单 %s 改为 P%d", t.Case, t.Priority), fmt.Sprintf("ticket %s is P%d now", t.Case, t.Priority)}
	case ended && was.State != string(t.State):
		line.Done = true
		line.Text = Text{fmt.Sprintf("工单 %s %s", t.Case, word(string(t.State)).ZH), fmt.Sprintf("ticket %s is %s", t.Case, word(string(t.State)).EN)}
	default:
		return
	}
	d.say(line)
}

func (d *Drive) takeMove(m grid.MoveRecord) {
	d.mu.Lock()
	t, known := d.tickets[m.Ticket]
	d.mu.Unlock()
	if !known {
		return
	}
	line := Line{Kind: "ticket", At: m.At, Ticket: m.Ticket, Point: t.Point, Priority: t.Priority}
	verb, who := word(m.Verb), split(m.By.Name)
	switch {
	case m.By.Role == grid.RoleUnit:
		line.Kind, line.Unit = "unit", m.By.Unit
		if name := d.unitName(m.By.Unit); name.ZH != m.By.Unit {
			who = name
		}
	case m.By.Role == grid.RoleSystem && (m.From == m.To || slices.Contains(over, m.To) || m.To == grid.TicketDispatched):
		return // tickets and deliveries say it
	case m.By.Role == grid.RoleSystem:
		line.Text = Text{fmt.Sprintf("工单 %s：%s", t.Case, word(string(m.To)).ZH), fmt.Sprintf("ticket %s: %s", t.Case, word(string(m.To)).EN)}
		d.say(line)
		return
	}
	reason := split(m.Reason)
	if strings.HasPrefix(m.Reason, "file:") {
		verb, reason = Text{"上传照片", "sends a photo"}, Text{}
	}
	at := d.placeName(t.Point)
	line.Text = Text{strings.TrimSuffix(fmt.Sprintf("%s %s（%s）%s", who.ZH, verb.ZH, at.ZH, reason.ZH), " "), strings.TrimSuffix(fmt.Sprintf("%s %s (%s) %s", who.EN, verb.EN, at.EN, reason.EN), " ")}
	d.say(line)
}

func (d *Drive) takeDelivery(v grid.Delivery) {
	d.mu.Lock()
	t, known := d.tickets[v.Ticket]
	state := string(v.State)
	if v.State == grid.DeliveryPending && v.Error != "" {
		state = "failing"
	}
	was := d.sent[v.ID]
	if known && len(d.sent) < 100_000 {
		d.sent[v.ID] = state
	}
	d.mu.Unlock()
	if !known || was == state || !slices.Contains([]string{"received", "dead", "failing"}, state) {
		return
	}
	name, what := d.unitName(v.Unit), word(strings.TrimPrefix(v.Type, "ticket."))
	d.say(Line{Kind: "delivery", Ticket: v.Ticket, Unit: v.Unit, Point: t.Point, Priority: t.Priority,
		Text: Text{fmt.Sprintf("派发「%s」→ %s：%s", what.ZH, name.ZH, word(state).ZH), fmt.Sprintf("message “%s” → %s: %s", what.EN, name.EN, word(state).EN)}})
}

// count reads the ledger once a second.
func (d *Drive) count(ctx context.Context) error {
	for {
		if l, err := d.gateway.ledger(ctx); err == nil { // a gateway that is away is told by watch
			d.mu.Lock()
			d.ledger = l
			d.mu.Unlock()
		}
		d.changed()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// titleOf names an event.
func titleOf(event string) Text {
	if t, ok := titles[event]; ok {
		return t
	}
	return Text{event, event}
}

var titles = map[string]Text{
	"smoke.alarm": {"烟感报警", "smoke"}, "smoke.confirmed": {"火情确认", "fire confirmed"}, "smoke.late": {"迟到的烟感报警", "late smoke"}, "smoke.suspect": {"烟感频繁误报", "detector suspect"},
	"smoke.fault": {"烟感故障", "detector fault"}, "safety.unreadable": {"烟感报文无法解析", "detector cannot be read"}, "manhole.open": {"井盖开启", "cover open"}, "manhole.tilted": {"井盖倾斜", "cover tilted"},
	"manhole.flooded": {"井内水位过高", "water high"}, "parking.overstay": {"超时停放", "vehicle overstays"}, "parking.fire_lane_blocked": {"消防通道被占", "fire lane blocked"}, "door.held_open": {"门长时间未关", "door held open"},
	"door.forced": {"门被强开", "door forced"}, "fire_door.open": {"防火门未关闭", "fire door open"}, "device.tamper": {"设备被拆动", "tampered with"}, "device.stolen": {"设备疑似被盗", "probably stolen"},
	"device.offline": {"设备离线", "offline"}, "device.battery_low": {"电池电量低", "battery low"}, "gateway.silent": {"链路无信号", "line silent"}, "protection.lost": {"建筑失去烟感保护", "building unprotected"},
	"unit.unreachable": {"单位联络不上", "unit cannot be reached"}, "test": {"测试按键", "test press"},
}

// word is what people say for a state, a verb or a kind of message.
func word(of string) Text {
	if t, ok := words[of]; ok {
		return t
	}
	return Text{of, strings.ReplaceAll(of, "_", " ")}
}

var words = map[string]Text{
	"reported": {"已上报", "reported"}, "verifying": {"核实中", "being verified"}, "filed": {"已立案", "filed"}, "dispatched": {"已派单", "dispatched"}, "accepted": {"已接单", "accepted"},
	"in_progress": {"处置中", "in progress"}, "suspended": {"已挂起", "suspended"}, "returned": {"已退回", "returned"}, "resolved": {"已处置", "resolved"}, "checking": {"核查中", "being checked"},
	"rework": {"返工：核查不合格", "rework: the check failed"}, "closed": {"已结案", "closed"}, "not_filed": {"不予立案", "not filed"}, "merged": {"已并案", "merged"}, "cancelled": {"已作废", "cancelled"}, "forced_close": {"强制结案", "closed by force"},
	"accept": {"接单", "accepts"}, "arrive": {"到场", "is on site"}, "verify": {"核实", "says what it finds"}, "resolve": {"报告处置完毕", "reports done"}, "confirm": {"现场确认", "confirms on site"}, "return": {"退单", "returns it"},
	"note": {"备注", "notes"}, "cancel": {"作废", "cancels"}, "assign": {"指派", "assigns"}, "force_close": {"强制结案", "closes by force"},
	"opened": {"新工单", "opened"}, "assigned": {"指派", "assigned"}, "escalated": {"升级", "escalated"}, "reminder": {"催办", "reminder"}, "stand_down": {"解除", "stand down"}, "updated": {"更新", "updated"},
	"received": {"已收到", "received"}, "failing": {"未送达，重试中", "not delivered, tried again"}, "dead": {"多次失败，转人工", "given up, people are asked"},
}
