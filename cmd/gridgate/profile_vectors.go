package main

import "gridgate/internal/profile"

// showVectors compares what the profiles make of published messages with what their
// makers say they are.
func (a *app) showVectors(set *profile.Set, dir string) error {
	results, err := set.Vectors(dir)
	if err != nil {
		return err
	}
	var printed error
	if err := a.show(results, func() { printed = profile.WriteVectorTable(a.out, results) }); err != nil {
		return err
	}
	if printed != nil {
		return printed
	}
	for _, r := range results {
		if r.State == profile.VectorFailed {
			return errSaid
		}
	}
	return nil
}
