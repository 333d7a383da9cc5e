package profile

import "gridgate/internal/grid"

// hide notes that a field a fire hangs on could not be read. The rest of the frame is read
// all the same: it may say fire elsewhere, and then the frame is no error. Nor does what
// cannot be read hide behind what can: without a fire the frame is an error.
func (r *run) hide(err error) {
	if r.hidden == nil {
		r.hidden = err
	}
}

// unhide is what becomes of a hidden field once the frame has been read.
func (r *run) unhide() error {
	if r.hidden == nil || !r.saysFire() {
		return r.hidden
	}
	r.warn("%v", r.hidden)
	return nil
}

func (r *run) saysFire() bool {
	for i := range r.readings {
		rd := &r.readings[i]
		if (rd.Signal == grid.SmokeAlarm || rd.Signal == grid.HeatAlarm) && rd.Bool() && !rd.History {
			return true
		}
	}
	return false
}
