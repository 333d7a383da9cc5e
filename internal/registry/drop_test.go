package registry

import (
	"fmt"
	"testing"

	"gridgate/internal/grid"
)

func TestWhatIsDroppedIsUnknownAndMayComeAgain(t *testing.T) {
	m := NewMemory()
	for i := range 1000 {
		m.PutPoint(grid.Point{ID: fmt.Sprint("p", i), Kind: grid.Smoke})
		m.PutDevice(grid.Device{Identity: grid.Identity(fmt.Sprint("x:", i)), State: grid.Registered}, false)
	}
	for i := 0; i < 1000; i += 3 {
		m.DropPoint(fmt.Sprint("p", i))
		m.DropDevice(grid.Identity(fmt.Sprint("x:", i)))
	}
	for i := range 5000 { // the index grows over the dropped ones
		m.PutPoint(grid.Point{ID: fmt.Sprint("q", i)})
	}
	m.PutPoint(grid.Point{ID: "p3", Kind: grid.Door})
	for i := range 1000 {
		id := fmt.Sprint("p", i)
		n, ok := m.Point(id)
		if want := i%3 != 0 || i == 3; ok != want || ok && m.PointAt(n).ID != id {
			t.Fatalf("point %s: known %t, want %t", id, ok, want)
		}
		if _, ok := m.Device(grid.Identity(fmt.Sprint("x:", i))); ok != (i%3 != 0) {
			t.Fatalf("device %d: known %t", i, ok)
		}
	}
	if n, _ := m.Point("p3"); m.PointAt(n).Kind() != grid.Door {
		t.Error("a point that came again is as it was before it was dropped")
	}
	if _, ok := m.Point(""); ok {
		t.Error("a point without a name is found")
	}
}
