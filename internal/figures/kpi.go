package figures

import (
	"context"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Daily gives the points of the measurement kpi for the last InfluxDays whole days: one for
// each district and one for each street of it. The same day again gives the same series
// and time, so that it is written over.
func (r *Rules) Daily(ctx context.Context, src Source, now time.Time) (out []grid.KPI, err error) {
	today, err := PeriodOf(Day, now, now, r.Zone)
	if err != nil {
		return nil, err
	}
	p := today
	for range r.InfluxDays {
		p = p.Previous(Day)
		p.End = p.To
		for _, by := range []string{"district", "street"} {
			c, err := r.count(ctx, src, Ask{Period: Day, By: by}, p)
			if err != nil {
				return nil, err
			}
			c.hours(r, Ask{By: by}, p)
			out = append(out, points(c, by, p, r)...)
		}
	}
	return out, nil
}

func points(c *counted, by string, p Period, r *Rules) (out []grid.KPI) {
	for key, t := range c.parts {
		if key == "" || by == "street" && len(key) < 6 {
			continue
		}
		k := grid.KPI{District: key, At: p.From}
		if by == "street" {
			k.District, k.Street = key[:6], key
		}
		g := t.group(r, p, Ask{By: by}, false)
		for _, f := range g.Figures {
			k.Fields = append(k.Fields, fields(f)...)
		}
		for _, x := range g.Ladder {
			k.Fields = append(k.Fields, grid.KPIField{Name: x.Key + "_n", Value: float64(x.Count)})
			for _, s := range []struct {
				name string
				at   *Second
			}{{"_p50_s", x.P50}, {"_p90_s", x.P90}, {"_p99_s", x.P99}} {
				if s.at != nil {
					k.Fields = append(k.Fields, grid.KPIField{Name: x.Key + s.name, Value: float64(*s.at)})
				}
			}
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b grid.KPI) int {
		if a.District+a.Street < b.District+b.Street {
			return -1
		}
		return 1
	})
	return out
}

// fields of a figure: its value, and of a share what it is made of, so that days can be summed.
func fields(f Figure) (out []grid.KPIField) {
	if f.Value != nil {
		out = append(out, grid.KPIField{Name: f.Key, Value: *f.Value})
	}
	if f.Denominator != nil {
		out = append(out, grid.KPIField{Name: f.Key + "_n", Value: f.Numerator}, grid.KPIField{Name: f.Key + "_d", Value: *f.Denominator})
	}
	return out
}
