package profile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// channelPart is a field in the name of a channel: "zone-{zone}".
var channelPart = regexp.MustCompile(`\{([^{}]*)\}`)

// channelFields finds the fields that the channels of records are named after.
func (c *compiler) channelFields() (map[string]*field, error) {
	fields := map[string]*field{}
	for _, channel := range c.channels {
		for _, part := range channelPart.FindAllStringSubmatch(channel, -1) {
			f, err := c.lookup(part[1])
			if err != nil {
				return nil, fmt.Errorf("channel %q: %w", channel, err)
			}
			fields[part[1]] = f
		}
	}
	return fields, nil
}

// channelNamed fills the fields of a record, or of the frame around it, into the name of
// its channel: the word where a field has an enum, ? where the field is not there.
func (r *run) channelNamed(name string, s *scope) string {
	if !strings.Contains(name, "{") {
		return name
	}
	return channelPart.ReplaceAllStringFunc(name, func(part string) string {
		f := r.p.channelFields[part[1:len(part)-1]]
		if f == nil {
			return part
		}
		from := s
		if !from.has[f.slot] {
			from = &r.top
		}
		if !from.has[f.slot] {
			return "?"
		}
		v := from.val[f.slot]
		if f.enum != nil {
			for word, values := range f.enum.words {
				if slices.Contains(values, v) {
					return word
				}
			}
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	})
}
