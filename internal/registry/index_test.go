package registry

import (
	"fmt"
	"testing"
)

func TestIndexFindsEveryNameAndNoOther(t *testing.T) {
	for _, reserve := range []int{0, 3000} {
		var names []string
		x := newIndex(func(row uint32) string { return names[row] })
		x.reserve(reserve)
		for i := range 5000 {
			name := fmt.Sprint("point-", i)
			if _, ok := x.find(name); ok {
				t.Fatalf("%s is found before it is added", name)
			}
			names = append(names, name)
			x.add(name, uint32(i))
		}
		for i, name := range names {
			if row, ok := x.find(name); !ok || row != uint32(i) {
				t.Fatalf("%s is found at %d, %t: want %d", name, row, ok, i)
			}
		}
	}
}
