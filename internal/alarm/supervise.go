package alarm

import "time"

// Offline says whether a device is offline at engine time now: silent for two reporting
// intervals and 10 %, counted from its installation or from when it was last heard,
// whichever is later. Spans in which we or its transport were down are left out, each
// with one interval of grace after it. neverSeen: nothing was heard since the
// installation. due is when silence will mean offline (or meant it); zero when that
// cannot be said: the device is not supervised (not installed, no interval), or a span
// still lasts.
//
// A silent path (gateway, port, broker) is not this function's business: the caller
// passes its outage as a span.
func Offline(interval time.Duration, installed, lastHeard time.Time, down []Span, now time.Time) (offline, neverSeen bool, due time.Time) {
	if interval <= 0 || installed.IsZero() {
		return false, false, time.Time{}
	}
	neverSeen = lastHeard.Before(installed)
	due = audible(later(installed, lastHeard), patience(interval), WithGrace(down, interval))
	offline = !due.IsZero() && !now.Before(due)
	return offline, neverSeen, due
}

// WaySilent says whether a way in is silent at engine time now: last heard at heard, it has
// brought nothing from anyone for the time within which those behind it must have spoken
// and 10 %, leaving out the spans down as Offline does. within 0: that time is not known.
func WaySilent(within time.Duration, heard time.Time, down []Span, now time.Time) bool {
	if within <= 0 {
		return false
	}
	due := audible(heard, within+within/10, WithGrace(down, within))
	return !due.IsZero() && !now.Before(due)
}

// patience is how long a device may be silent: two intervals and 10 %.
func patience(interval time.Duration) time.Duration { return 2*interval + interval/5 }

// Silence is the phase of a FromSilence rule, for Next, out of what Offline said.
func Silence(offline bool, due, lastHeard time.Time) Input {
	if offline {
		return Input{Abnormal: true, Since: due, Heard: due}
	}
	return Input{Since: lastHeard, Heard: lastHeard}
}

// Watch says whether a resolved condition is proven normal, for the check of a ticket.
//
// from is when the lead reported it resolved, or the first normal reading after that if
// the caller knows it: the watch runs from the later of from and the beginning of the
// normal phase. It passes when
//
//   - the condition was normal for need since then, leaving out spans in which we could
//     not hear (where silence counts, with one interval of grace after each), and
//   - a reading has said so: where the device reports more often than need, one at or
//     after the start of the watch, and the newest not older than two intervals and
//     10 %; where it reports less often (interval >= need, or unknown), one at or after
//     the end of need: the watch ends with the device's next report, not with the clock.
//   - After a span in which we could not hear, a reading has arrived since.
//
// abnormal: a reading at or after from says that the condition is still there, or is
// there again. Neither: wait until wake; wake zero says that only a reading can help.
// Silence never passes.
func Watch(need, interval time.Duration, from time.Time, in Input, now time.Time, down ...Span) (pass, abnormal bool, wake time.Time) {
	if in.Heard.IsZero() {
		return false, false, time.Time{}
	}
	if in.Abnormal {
		return false, !in.Heard.Before(from), time.Time{}
	}
	start := later(from, in.Since)
	seldom := interval <= 0 || interval >= need
	deafness := down
	if !seldom {
		deafness = WithGrace(down, interval)
	}
	end := audible(start, need, deafness)
	if end.IsZero() || now.Before(end) {
		return false, false, end
	}
	if deafEnd, deaf := deafUntil(start, now, down); deaf || in.Heard.Before(deafEnd) {
		return false, false, time.Time{}
	}
	if seldom {
		return !in.Heard.Before(end), false, time.Time{}
	}
	fresh := !in.Heard.Before(start) && now.Sub(in.Heard) <= patience(interval)
	return fresh, false, time.Time{}
}
