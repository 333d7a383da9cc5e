package influx

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gridgate/internal/grid"
)

// Types of fields, as InfluxQL names them.
const (
	floatType, booleanType, textType = "float", "boolean", "string"
)

// ownFields are the fields of each measurement beside those of signals, which ride on any.
var ownFields = map[string]map[string]string{
	Door: {}, Parking: {}, Manhole: {}, Smoke: {},
	Dwelling:     {"opened": floatType},
	DeviceHealth: {"device": textType, "online": booleanType, "frames": floatType, "duplicates": floatType},
	GridEvent:    {"action": textType, "id": textType, "mode": textType, "value": floatType},
	Ticket:       {"id": textType, "state": textType, "mode": textType, "tier": floatType, "rework": floatType},
}

// typeOf is how a field is written; "": it is none of ours.
func typeOf(measurement, key string) string {
	if own := ownFields[measurement][key]; own != "" {
		return own
	}
	if key == "profile" {
		return textType
	}
	for _, s := range grid.Signals {
		switch {
		case s.Field != key || s.Measurement != "" && s.Measurement != measurement:
		case s.Bool:
			return booleanType
		default:
			return floatType
		}
	}
	return ""
}

// inspectTypes looks for fields that are there in another type than we write: such points are
// refused for as long as the shard lasts in which they are.
func (c *Client) inspectTypes(ctx context.Context, i *Inspection) {
	var from []string
	for m := range ownFields {
		from = append(from, quoteIdent(m))
	}
	slices.Sort(from)
	r, err := c.query(ctx, http.MethodGet, "SHOW FIELD KEYS FROM "+strings.Join(from, ", "))
	if err != nil {
		return // who may only write is not shown them
	}
	for _, s := range r.Series {
		found := map[string][]string{}
		for _, row := range s.Values {
			if len(row) >= 2 {
				key := fmt.Sprint(row[0])
				found[key] = append(found[key], fmt.Sprint(row[1]))
			}
		}
		for _, key := range sortedKeys(found) {
			i.judgeType(s.Name, key, typeOf(s.Name, key), found[key])
		}
	}
}

func (i *Inspection) judgeType(measurement, key, own string, found []string) {
	slices.Sort(found)
	there := strings.Join(found, " and ")
	fix := "stop what else writes there, or give gridgate a bucket of its own (influx.bucket)"
	if !i.V2 {
		fix += fmt.Sprintf("; once nothing of it is wanted any more: DROP MEASUREMENT %s", quoteIdent(measurement))
	}
	switch {
	case own == "" || len(found) == 1 && found[0] == own:
	case !slices.Contains(found, own):
		i.wrong("influxdb has field %q of measurement %q as %s, and gridgate writes %s: its points are refused and end in quarantine; %s", key, measurement, there, own, fix)
	default:
		i.Warnings = append(i.Warnings, fmt.Sprintf("influxdb has field %q of measurement %q as %s, by the time of the points, and gridgate writes %s: points for a time in which it is another are refused; %s", key, measurement, there, own, fix))
	}
}

func sortedKeys(m map[string][]string) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
