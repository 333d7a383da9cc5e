package gateway

import (
	"io/fs"
	"os"
	"time"

	"gridgate/configs"
	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/grid"
	"gridgate/internal/profile"
	"gridgate/internal/ticket"
)

// What decides, as data: read at the start, from the files configured or built in.

// rules reads what decides: profiles, rules and plans. version names the lot.
func (g *Gateway) rules() (*alarm.Rules, *ticket.Plans, string, error) {
	rulesName, rulesFile, err := fileOr(g.cfg.Rules, "rules.yaml")
	if err != nil {
		return nil, nil, "", err
	}
	if g.calendars, err = readCalendars(g.cfg.Calendars); err != nil {
		return nil, nil, "", err
	}
	rules, err := alarm.Parse(rulesName, rulesFile, g.calendars)
	if err != nil {
		return nil, nil, "", err
	}
	plansName, plansFile, err := fileOr(g.cfg.Tickets, "tickets.yaml")
	if err != nil {
		return nil, nil, "", err
	}
	g.alarmRules = rules
	if year := g.calendars.Unknown(g.clock.Now(), calendarAhead); year != 0 {
		g.log.Warn("public holidays are not known and count as ordinary days: add them to the calendars", "year", year)
	}
	plans, err := ticket.ParsePlans(plansName, plansFile, g.calendars)
	if err != nil {
		return nil, nil, "", err
	}
	if err := g.readLabels(); err != nil {
		return nil, nil, "", err
	}
	if err := g.readCommissioning(); err != nil {
		return nil, nil, "", err
	}
	if err := g.readHazards(rules); err != nil {
		return nil, nil, "", err
	}
	if err := g.readFigures(); err != nil {
		return nil, nil, "", err
	}
	if err := g.readContractors(); err != nil {
		return nil, nil, "", err
	}
	if err := g.readDuty(); err != nil {
		return nil, nil, "", err
	}
	if err := g.readPrivacy(); err != nil {
		return nil, nil, "", err
	}
	if g.routes, err = g.readRoutes(); err != nil {
		return nil, nil, "", err
	}
	dirs := []fs.FS{firmwareprofiles.FS}
	for _, d := range g.cfg.Profiles {
		dirs = append(dirs, os.DirFS(d))
	}
	if g.profiles, err = profile.Load(dirs...); err != nil {
		return nil, nil, "", err
	}
	version := grid.NewID(time.Time{}, string(rulesFile)+string(plansFile), 0)[18:]
	return rules, plans, version, nil
}

// calendarAhead is how long before a new year its public holidays are asked for.
const calendarAhead = 30 * 24 * time.Hour

func readCalendars(path string) (*calendar.Calendars, error) {
	name, file, err := fileOr(path, "calendars.yaml")
	if err != nil {
		return nil, err
	}
	return calendar.Parse(name, file)
}

// fileOr reads a file, or takes what is built in.
func fileOr(path, builtIn string) (string, []byte, error) {
	if path == "" {
		b, err := configs.FS.ReadFile(builtIn)
		return builtIn, b, err
	}
	b, err := os.ReadFile(path)
	return path, b, err
}
