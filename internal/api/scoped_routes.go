package api

import (
	"strings"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
)

// Reasons why the role alone decides.
const (
	ownAccount = "of whoever asks"
	geography  = "borders and names of areas are nobody's secret"
	gatewayOwn = "of the gateway itself, nothing of places in it"
	rulesAlone = "of the configuration, nothing of places in it"
	deskOwn    = "seats are of the desk of the district"
)

// narrowings says of each route how it is narrowed. What is for admins alone needs no word: an
// admin has the whole district.
var narrowings = map[string]narrowing{
	"alarm-health": byQuery(), "alarm-queue": byQuery(), "list-alarms": byQuery(),
	"get-alarm": byRow(theAlarm), "alarm-history": byRow(theAlarm), "acknowledge-alarm": byRow(theAlarm), "comment-alarm": byRow(theAlarm),
	"answer-alarm": byRow(theAlarm), "take-alarm": byRow(theAlarm), "give-back-alarm": byRow(theAlarm), "acknowledge-alarms": byNames(),
	"list-events": byQuery(), "list-incidents": byQuery(), "get-incident": byRow(anIncident),
	"file-event": byNames(), "find-similar": byNames(), "list-reportable": byNames(),

	"list-tickets": byQuery(), "get-ticket": byRow(aTicket), "list-assignments": byNames(), "list-moves": byRow(aTicket), "move-ticket": byRow(aTicket).naming(),
	"explain-ticket": byWhole(aTicket), "get-way-in": byWhole(aTicket), "list-similar": byRow(aTicket), "list-proposable-units": byRow(aTicket),
	"take-ticket": byRow(aTicket), "give-back-ticket": byRow(aTicket), "route-ticket": byNames(), "list-tasks": byQuery(),
	"add-evidence": byRow(aTicket), "list-evidence": byWhole(aTicket), "get-evidence": byRow(aFile),
	"list-hazards": byQuery(), "get-hazard": byRow(aHazard), "move-hazard": byRow(aHazard).naming(), "file-hazard": byNames(),
	"list-deliveries": byQuery(), "get-delivery": byRow(aDelivery), "resend-delivery": byRow(aDelivery),

	"list-points": byQuery(), "get-point": byRow(aPoint), "change-point": byRow(aPoint), "create-point": byReach(), "retire-point": byRow(aPoint),
	"note-point": byRow(aPoint), "get-point-log": byRow(aPoint), "get-point-live": byRow(aPoint), "get-point-history": byRow(aPoint),
	"add-point-photo": byRow(aPoint), "list-point-photos": byRow(aPoint), "get-photo": byReach(), "get-field-pack": byReach(), "get-tile": byReach(),
	"list-devices": byQuery(), "list-installations": byQuery(), "get-device": byRow(aDevice), "change-device": byRow(aDevice), "get-device-log": byRow(aDevice),
	"replace-device": byRow(aDevice).naming(), "undo-replace-device": byRow(aDevice), "move-device": byRow(aDevice).naming(), "retire-device": byRow(aDevice),
	"revive-device": byRow(aDevice), "bar-device": byRow(aDevice), "note-device": byRow(aDevice), "claim-device": byRow(aStranger).naming(),
	"get-discovered": byRow(aStranger), "list-discovered": byRole("what is not registered lies nowhere yet"), "read-code": byRole("what is outside is left out of the answer"),
	"print-labels": byNames(),
	"list-sites":   byQuery(), "get-site": byRow(aSite), "get-site-log": byRow(aSite), "list-buildings": byQuery(), "get-building": byRow(aBuilding), "get-building-log": byRow(aBuilding),
	"send-downlink": byRow(aDevice), "list-downlinks": byQuery(), "get-downlink": byRow(aDownlink), "cancel-downlink": byRow(aDownlink),
	"list-frames": byNames(), "list-quarantine": byQuery(), "replay-quarantine": byNames(), "discard-quarantine": byNames(),

	"list-visits": byQuery(), "start-visit": byNames(), "get-visit": byRow(aVisit), "say-step": byRow(aVisit), "finish-visit": byRow(aVisit), "touch-visit": byRow(aVisit),
	"answer-visit": byRow(aVisit), "get-visit-record": byRow(aVisit), "stream-visit": byRow(aVisit), "get-commissioning": byRole(rulesAlone),
	"list-rounds": byQuery(), "get-round": byRow(aRound), "get-round-csv": byRow(aRound), "get-round-pdf": byRow(aRound), "plan-rounds": byQuery(), "cancel-round": byRow(aRound),
	"stop-done": byRow(aRound), "stop-no-entry": byRow(aRound), "add-stop-photo": byRow(aRound), "list-no-entries": byQuery(), "approve-no-entry": byRow(aNoEntry),
	"list-contractors": byRole("what lies outside is left out of the answer"), "list-contracts": byQuery(),
	"get-scoreboard": ofDistrict("all work of a contractor"), "get-scoreboard-csv": ofDistrict("all work of a contractor"),
	"get-battery-season": byQuery(), "get-battery-season-csv": byQuery(),

	"list-windows": byQuery(), "get-window": byRow(aWindow), "open-window": byNames(), "extend-window": byWhole(aWindow), "end-window": byWhole(aWindow),
	"list-permits": byQuery(), "get-permit": byRow(aWindow), "open-permit": byNames(), "extend-permit": byWhole(aWindow), "end-permit": byWhole(aWindow), "answer-permit": byWhole(aWindow),
	"list-exercises": byQuery(), "get-exercise": byRow(aWindow), "open-exercise": byNames(), "extend-exercise": byWhole(aWindow), "end-exercise": byWhole(aWindow),
	"touch-window": byWhole(aWindow), "list-window-questions": byRow(aWindow), "list-window-alarms": byRow(aWindow),
	"get-posture": byRole("of the whole district, for all of it"), "list-postures": byRole("of the whole district, for all of it"), "list-posture-effects": byRole(rulesAlone),
	"switch-posture": ofDistrict("the posture"),

	"list-contacts": byQuery().naming(), "put-contact": byNames(), "reveal-contact": byRow(aContact), "list-contact-reads": byRow(aContact), "verify-contact": byRow(aContact),
	"erase-contact": byRow(aContact), "list-rosters": byQuery().naming(), "put-roster": byNames(), "end-roster": byRow(aRoster), "list-gaps": byRole("units outside are left out of the answer"),
	"get-duty": byNames(), "list-shifts": byQuery().naming(), "put-shift": byNames(), "end-shift": byRow(aShift),
	"list-seats": byRole(deskOwn), "sign-on": byRole(deskOwn), "beat-seat": byRole(deskOwn), "sign-off": byRole(deskOwn),
	"get-duty-plan": byRole("units outside are left out of the answer"), "list-duty-nights": byRole(geography), "make-duty-night": ofDistrict("sheets of all streets"),
	"get-duty-night": byQuery(), "get-duty-sheet": byQuery(), "make-duty-sheet": byQuery(),
	"list-handovers": ofDistrict("handovers"), "get-handover": ofDistrict("handovers"), "get-handover-pdf": ofDistrict("handovers"), "make-handover": ofDistrict("handovers"),
	"sign-handover": ofDistrict("handovers"),
	"list-units":    byRole("units outside are left out of the answer"), "list-unit-states": byRole("units outside are left out of the answer"), "get-unit-log": byRow(aUnit),
	"list-channels": byRole("units outside are left out of the answer"),

	"get-kpis": byQuery(), "get-kpis-csv": byQuery(), "get-kpis-xlsx": byQuery(), "list-hotspots": byQuery(), "list-hotspots-csv": byQuery(), "list-hotspots-xlsx": byQuery(),
	"get-kpi-trend": byQuery(), "get-kpi-trend-csv": byQuery(), "get-kpi-trend-xlsx": byQuery(), "get-kpi-load": byQuery(), "get-kpi-load-csv": byQuery(), "get-kpi-load-xlsx": byQuery(),
	"get-kpi-sensors": byQuery(), "get-kpi-sensors-csv": byQuery(), "get-kpi-sensors-xlsx": byQuery(), "get-kpi-models": byQuery(), "get-kpi-models-csv": byQuery(),
	"get-kpi-models-xlsx": byQuery(),
	"get-map":             byQuery(), "get-map-areas": byRole(geography), "list-cells": byRole(geography), "get-cell-at": byRole(geography), "list-scopes": byRole(geography),
	"convert-positions": byRole(geography),

	"get-me": byRole(ownAccount), "stream": byQuery(), "list-deeds": byQuery(),
	"get-system": byRole(gatewayOwn), "get-ledger": byRole(gatewayOwn), "list-transports": byRole(gatewayOwn), "list-peers": ofDistrict("who is behind a link"),
	"list-ending-credentials": ofDistrict("keys of all devices"),
	"list-profiles":           byRole(rulesAlone), "get-profile": byRole(rulesAlone), "lint-profile": byRole(rulesAlone), "decode-payload": byRole(rulesAlone),
	"diff-profile": ofDistrict("frames of all devices of a profile"), "get-diff-progress": byRole(gatewayOwn), "list-rollouts": ofDistrict("devices of a profile"),
	"get-rollout": ofDistrict("devices of a profile"), "start-rollout": ofDistrict("devices of a profile"), "set-rollout": ofDistrict("devices of a profile"),
	"back-rollout": ofDistrict("devices of a profile"),

	"copies": ofDistrict("a copy has everything in it"), "snapshot": ofDistrict("a copy has everything in it"), "copyFile": ofDistrict("a copy has everything in it"),

	"start-session": byRole(ownAccount), "get-session": byRole(ownAccount), "end-session": byRole(ownAccount), "list-session-ways": byRole(ownAccount), "change-password": byRole(ownAccount),
	"begin-totp": byRole(ownAccount), "confirm-totp": byRole(ownAccount), "end-totp": byRole(ownAccount), "begin-passkey": byRole(ownAccount), "finish-passkey": byRole(ownAccount),
	"list-passkeys": byRole(ownAccount), "end-passkey": byRole(ownAccount), "ask-passkey": byRole(ownAccount), "start-session-passkey": byRole(ownAccount),
	"start-oidc": byRole(ownAccount), "finish-oidc": byRole(ownAccount),
}

// code is a filter of an input, and what of the part goes into it.
type code struct {
	name  string
	asked *string
	own   string
}

// putPart puts a part into the filters of an input. Another code than the part's own is refused,
// so that an empty page never means "not yours".
func putPart(codes ...code) error {
	for _, c := range codes {
		if c.own == "" {
			continue
		}
		if *c.asked != "" && *c.asked != c.own {
			return grid.Errorf(grid.Forbidden, "%s is %q, which lies outside of %s: this account is limited to it", c.name, *c.asked, c.own)
		}
		*c.asked = c.own
	}
	return nil
}

// putTree is putPart for inputs with the four codes of the tree.
func putTree(p grid.Scope, district, street, community, compound *string) error {
	if p.Contractor != "" {
		return grid.Errorf(grid.Forbidden, "this cannot be narrowed to contractor %s", p.Contractor)
	}
	for _, upper := range []struct {
		name, asked, own string
	}{{"district", *district, p.Street + p.Community}, {"street", *street, p.Community}} {
		if upper.asked != "" && upper.own != "" && !strings.HasPrefix(upper.own, upper.asked) {
			return grid.Errorf(grid.Forbidden, "%s is %q, which lies outside of %s", upper.name, upper.asked, inWords(p))
		}
	}
	return putPart(code{"district", district, p.District}, code{"street", street, p.Street}, code{"community", community, p.Community}, code{"compound", compound, p.Compound})
}

func (in *listInput) narrow(p grid.Scope) error {
	in.joined, in.contractor = true, p.Contractor
	p.Contractor = ""
	return putTree(p, &in.District, &in.Street, &in.Community, &in.Compound)
}

func (in *kpiInput) narrow(p grid.Scope) error {
	return putTree(p, &in.District, &in.Street, &in.Community, &in.Compound)
}

func (in *seasonInput) narrow(p grid.Scope) error {
	return putTree(p, &in.District, &in.Street, &in.Community, &in.Compound)
}

func (in *planInput) narrow(p grid.Scope) error {
	return putTree(p, &in.Body.District, &in.Body.Street, &in.Body.Community, &in.Body.Compound)
}

// putStreet is for what is made by streets: to whom has less of one it is not given.
func putStreet(p grid.Scope, street *string) error {
	switch {
	case p.Community+p.Compound+p.Contractor != "":
		return grid.Errorf(grid.Forbidden, "this is of a whole street, and this account is limited to %s", inWords(p))
	case p.Street != "":
		return putPart(code{"street", street, p.Street})
	case *street == "" || !strings.HasPrefix(*street, p.District):
		return grid.Errorf(grid.Forbidden, "street is %q: want one of district %s", *street, p.District)
	}
	return nil
}

func (in *nightInput) narrow(p grid.Scope) error     { return putStreet(p, &in.Street) }
func (in *dutySheetInput) narrow(p grid.Scope) error { return putStreet(p, &in.Street) }

// narrow: the hub sends what lies in the part of its reader.
func (in *streamInput) narrow(grid.Scope) error { return nil }

// narrow: whose they are is checked where it is named; else what lies outside is left out.
func (in *peopleInput) narrow(grid.Scope) error { return nil }

func (in *peopleInput) named() []named { return []named{{owner, in.Of}} }

func (in *putContactInput) named() []named {
	return []named{{aContact, in.Body.ID}, {owner, in.Body.Of}}
}

func (in *rosterInput) named() []named { return []named{{aRoster, in.Body.ID}, {owner, in.Body.For}} }
func (in *shiftInput) named() []named  { return []named{{owner, in.Body.For}} }
func (in *dutyInput) named() []named   { return []named{{owner, in.For}} }

func (in *assignmentsInput) named() []named { return []named{{aTicket, in.Ticket}} }
func (in *routeInput) named() []named       { return []named{{aPoint, in.Point}} }
func (in *reportableInput) named() []named  { return []named{{aPoint, in.Point}} }

func (in *moveInput) named() []named {
	return []named{{aTicket, in.Body.Into}, {theAlarm, in.Body.Alarm}, {aUnit, in.Body.Unit}}
}

func (in *hazardMoveInput) named() (out []named) {
	for _, f := range append(append([]string{}, in.Body.Before...), in.Body.After...) {
		out = append(out, named{aFile, f})
	}
	return append(out, named{aUnit, in.Body.Unit})
}

func (in *replaceInput) named() []named    { return []named{{aStranger, in.Body.With}} }
func (in *moveDeviceInput) named() []named { return []named{{aPoint, in.Body.Point}} }

func (in *claimInput) named() (out []named) {
	for _, at := range in.Body.Installations {
		if in.Body.Point == nil || at.Point != in.Body.Point.ID { // a new one is checked where it is made
			out = append(out, named{aPoint, at.Point})
		}
	}
	return out
}

func (in *labelsInput) named() (out []named) {
	for _, p := range in.Body.Points {
		out = append(out, named{aPoint, p})
	}
	for _, d := range in.Body.Devices {
		out = append(out, named{aDevice, string(d)})
	}
	return out
}

// nothing is the id of a row that is nowhere: what has to be named and is not, is refused.
const nothing = "\x00"

func (in *framesInput) named() []named {
	if in.Device == "" {
		return []named{{aDevice, nothing}}
	}
	return []named{{aDevice, in.Device}}
}

func (in *replayInput) named() []named {
	if in.Body.Profile != "" {
		return []named{{aFrame, nothing}}
	}
	return quarantined(in.Body.IDs)
}

func (in *discardInput) named() []named { return quarantined(in.Body.IDs) }

func quarantined(ids []string) (out []named) {
	for _, id := range ids {
		out = append(out, named{aFrame, id})
	}
	return out
}

func (in *openWindowInput) named() (out []named) {
	for _, p := range in.Body.Points {
		out = append(out, named{aPoint, p})
	}
	for _, x := range in.Body.Script {
		out = append(out, named{aPoint, x.Point})
	}
	return out
}

func (in *body[T]) named() []named {
	switch n := any(&in.Body).(type) {
	case *NewEvent:
		return []named{{aTicket, n.Into}}
	case *NewVisit:
		return []named{{aPoint, n.Point}, {aStranger, string(n.Device)}}
	}
	return nil
}

func (in *body[T]) where() *Place {
	switch n := any(&in.Body).(type) {
	case *NewEvent:
		return &n.Place
	case *NewHazard:
		return &n.Place
	case *Draft:
		return &n.Place
	}
	return nil
}

// namerOf and narrowerOf know the inputs that have no name of their own too.
func namerOf(in any) (namer, bool) {
	if many, ok := in.(*struct{ Body AckMany }); ok {
		return acked(many.Body.Alarms), true
	}
	n, ok := in.(namer)
	return n, ok
}

func narrowerOf(in any) (narrower, bool) {
	if sheet, ok := in.(*struct{ Body SheetNumbers }); ok {
		return (*sheetNumbers)(&sheet.Body), true
	}
	n, ok := in.(narrower)
	return n, ok
}

type acked []alarm.Seen

func (all acked) named() (out []named) {
	for _, a := range all {
		out = append(out, named{theAlarm, a.ID})
	}
	return out
}

type sheetNumbers SheetNumbers

func (in *sheetNumbers) narrow(p grid.Scope) error { return putStreet(p, &in.Street) }
