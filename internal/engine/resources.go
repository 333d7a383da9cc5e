package engine

import "gridgate/internal/grid"

// Resources are what an LwM2M server observes on a device: those that the version of its
// profile names that reads it. To a profile that has nothing to do with LwM2M the frames
// of the maker come in the resource for them, 19/0/0. None: the device or its profile is
// not known. Safe for concurrent use.
func (e *Engine) Resources(id grid.Identity) []string {
	of, known := e.memory.ProfileOf(id)
	if !known {
		return nil
	}
	if c := e.profiles.now.Load().choose(of, id); c.reads != nil {
		if named := c.reads.Resources(); len(named) > 0 {
			return named
		}
		return []string{"19/0/0"}
	}
	return nil
}
