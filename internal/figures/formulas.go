package figures

// formula is one figure of the board: its names, and how it is counted in one line.
type formula struct {
	key, zh, en string
	text        string
	family      family
	share       bool // numerator of denominator; else a count, or a count by a denominator
	count       func(t *tally) (num, den float64)
}

// family says what a figure is counted from, and so by what it can be grouped.
type family uint8

const (
	ofTickets family = iota
	ofWhole          // of tickets, for the whole alone: its parts mean nothing
	ofAlarms
	ofDevices
	ofDesk // of the whole alone
)

// formulas are all figures, in the order of the board. %s is no part of them: docs/figures.md
// has the same lines.
var formulas = []formula{
	{"reported", "上报数", "reported", "tickets opened in the period", ofTickets, false,
		func(t *tally) (float64, float64) { return n(t.reported), none }},
	{"filing", "立案率", "filing rate", "filed / reported, of tickets opened in the period", ofTickets, true,
		func(t *tally) (float64, float64) { return n(t.filed), n(t.reported) }},
	{"dispatch_accuracy", "派遣准确率", "dispatch accuracy", "never returned / dispatched, of tickets first dispatched in the period", ofTickets, true,
		func(t *tally) (float64, float64) { return n(t.accurate), n(t.dispatched) }},
	{"on_time_handling", "按期处置率", "on-time handling", "handled before each deadline / due to be handled in the period", ofTickets, true,
		func(t *tally) (float64, float64) { return n(t.handledInTime), n(t.handleDue) }},
	{"closing", "结案率", "closing rate", "closed by the end of the period / due to close in the period", ofTickets, true,
		func(t *tally) (float64, float64) { return n(t.closed), n(t.closeDue) }},
	{"on_time_closing", "按期结案率", "on-time closing", "closed before the deadline / due to close in the period", ofTickets, true,
		func(t *tally) (float64, float64) { return n(t.closedInTime), n(t.closeDue) }},
	{"rework", "返工率", "rework rate", "tickets with a rework / tickets whose first check ended in the period", ofTickets, true,
		func(t *tally) (float64, float64) { return n(t.reworked), n(t.checked) }},
	{"check_pass", "核查通过率", "check pass rate", "checks passed / checks ended, of tickets whose first check ended in the period", ofTickets, true,
		func(t *tally) (float64, float64) { return n(t.passes), n(t.verdicts) }},
	{"overdue", "超期未处置数", "overdue and open", "open at the end of the period and past the handle or the total deadline", ofTickets, false,
		func(t *tally) (float64, float64) { return n(t.overdue), none }},
	{"overdue_p1", "超期未处置数 (P1)", "overdue and open, P1", "the same, of priority P1", ofTickets, false,
		func(t *tally) (float64, float64) { return n(t.overdueP1), none }},
	{"repeat", "重复率", "repeat rate", "same point and type within 30 days / tickets with a point, opened in the period", ofTickets, true,
		func(t *tally) (float64, float64) { return n(t.repeated), n(t.objects) }},
	{"top_share", "高发占比", "share of the top compounds", "tickets of the ten compounds with most / tickets opened in the period", ofWhole, true,
		func(t *tally) (float64, float64) { return n(t.topCompounds()), n(t.reported) }},
	{"false_alarm", "误报率", "false-alarm rate", "found or closed as false / verified, of sensors' alarms opened in the period", ofTickets, true,
		func(t *tally) (float64, float64) { return n(t.verdict.wrong), n(t.verdict.verified) }},
	{"merged", "并案数", "merged", "tickets opened in the period and merged into another", ofTickets, false,
		func(t *tally) (float64, float64) { return n(t.merged), none }},
	{"forced", "强制结案数", "closed by force", "tickets closed by force in the period", ofTickets, false,
		func(t *tally) (float64, float64) { return n(t.forced), none }},
	{"load_10min", "人均告警 (10 分钟)", "alarms per operator and 10 min", "alarms raised / (10-minute windows × operators)", ofAlarms, false,
		func(t *tally) (float64, float64) { return n(t.activations), n(t.windows * t.operators) }},
	{"load_hour", "人均告警 (小时)", "alarms per operator and hour", "alarms raised / (hours × operators)", ofAlarms, false,
		func(t *tally) (float64, float64) { return n(t.activations), t.hours * float64(t.operators) }},
	{"flood_share", "告警洪泛占比", "flood share", "10-minute windows with more than 10 alarms for each operator / all windows", ofAlarms, true,
		func(t *tally) (float64, float64) { return n(t.floods()), n(t.windows) }},
	{"chattering", "抖动点数", "chattering", "points and types raised 3 times or more within 60 s", ofAlarms, false,
		func(t *tally) (float64, float64) { return n(len(t.chatters)), none }},
	{"stale", "长期未复位", "stale", "alarms active for more than 24 h, on the worst day", ofAlarms, false,
		func(t *tally) (float64, float64) { return n(t.worstDay()), none }},
	{"priority_high", "高优先级占比", "share of P1", "P1 / alarms raised", ofAlarms, true,
		func(t *tally) (float64, float64) { return n(t.byPriority[1]), n(t.raised) }},
	{"priority_medium", "中优先级占比", "share of P2", "P2 / alarms raised", ofAlarms, true,
		func(t *tally) (float64, float64) { return n(t.byPriority[2]), n(t.raised) }},
	{"priority_low", "低优先级占比", "share of P3 and P4", "P3 and P4 / alarms raised", ofAlarms, true,
		func(t *tally) (float64, float64) { return n(t.byPriority[3] + t.byPriority[4]), n(t.raised) }},
	{"unauthorised_suppression", "未授权屏蔽数", "unauthorised suppression", "shelved, out of service or barred without a record", ofDesk, false,
		func(t *tally) (float64, float64) { return n(t.unrecorded), none }},
	{"online", "设备在线率", "devices online", "without an offline alarm at the end of the period / installed", ofDevices, true,
		func(t *tally) (float64, float64) {
			return n(t.installed - min(t.installed, len(t.offline))), n(t.installed)
		}},
	{"supervision", "监测达标率", "supervision met", "never silent for too long in the period / installed", ofDevices, true,
		func(t *tally) (float64, float64) {
			return n(t.installed - min(t.installed, len(t.silent))), n(t.installed)
		}},
}

// none is the denominator of a mere count.
const none = -1

func n(i int) float64 { return float64(i) }

func keys() (out []string) {
	for _, f := range formulas {
		out = append(out, f.key)
	}
	return out
}

// The rungs of the time ladder: from what, to what, each of tickets opened in the period that
// have both times.
var rungs = []struct{ key, zh, en string }{
	{"occur_receive", "发生→接收", "occurred → received"},
	{"receive_tell", "接收→送达单位", "received → a unit has it"},
	{"receive_ack", "接收→确认", "received → acknowledged by an operator"},
	{"receive_accept", "接收→接单", "received → accepted"},
	{"accept_arrive", "接单→到场", "accepted → on site"},
	{"arrive_handle", "到场→处置", "on site → handled"},
	{"handle_close", "处置→结案", "handled → closed"},
	{"receive_close", "接收→结案", "received → closed"},
}

const rungCount = 8
