package registry

import "hash/maphash"

// index finds the row of a name in about eight bytes a row: a map would keep each name a
// second time. The names stand in the rows, where at finds them. Rows are never removed.
type index struct {
	slots []uint32 // row + 1; 0: free. Their number is a power of two
	rows  int
	seed  maphash.Seed
	at    func(row uint32) string
}

func newIndex(at func(row uint32) string) index {
	return index{slots: make([]uint32, 8), seed: maphash.MakeSeed(), at: at}
}

// find gives the row of a name.
func (x *index) find(name string) (uint32, bool) {
	row := x.slots[x.slot(name)]
	return row - 1, row != 0
}

// slot is where a name is, or is to be put.
func (x *index) slot(name string) int {
	mask := len(x.slots) - 1
	i := int(maphash.String(x.seed, name)) & mask
	for x.slots[i] != 0 && x.at(x.slots[i]-1) != name {
		i = (i + 1) & mask
	}
	return i
}

// add notes a row whose name is not in the index yet. at must find the name already.
func (x *index) add(name string, row uint32) {
	x.reserve(x.rows + 1)
	x.slots[x.slot(name)] = row + 1
	x.rows++
}

// reserve makes room for n rows, so that no more than two thirds of the slots are taken.
func (x *index) reserve(n int) {
	size := len(x.slots)
	for 3*n > 2*size {
		size *= 2
	}
	if size == len(x.slots) {
		return
	}
	old := x.slots
	x.slots = make([]uint32, size)
	for _, row := range old {
		if row != 0 {
			x.slots[x.slot(x.at(row-1))] = row
		}
	}
}
