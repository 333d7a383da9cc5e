package load

import "iter"

// chunks cuts a sequence into slices of n.
func chunks[T any](rows iter.Seq[T], n int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		if rows == nil {
			return
		}
		var some []T
		for r := range rows {
			if some = append(some, r); len(some) == n {
				if !yield(some) {
					return
				}
				some = nil
			}
		}
		if len(some) > 0 {
			yield(some)
		}
	}
}

func each[T any](rows []T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	}
}
