package profile

import "time"

// IdleAfter lets the workers of a profile of Parse end after d without work.
func (p *Profile) IdleAfter(d time.Duration) {
	w := p.own
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = d
	if w.sweeps != nil {
		w.sweeps.Reset(d)
	}
}

// WorkerEnv names the variable that makes a worker of a program.
const WorkerEnv = workerEnv
