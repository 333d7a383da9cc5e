package calendar

import "time"

// Zone is the time zone of all calendars: days and months begin in it.
func (cs *Calendars) Zone() *time.Location { return cs.all[Default].zone }
