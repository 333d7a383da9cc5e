package simulator

import (
	"strings"
	"testing"
)

func TestAFleetLeavesCellsToTheGateway(t *testing.T) {
	var b strings.Builder
	if err := NewFleet(40, 1).Registry(0).Write(&b); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); strings.Contains(text, "cell:") || strings.Contains(text, "community:") || !strings.Contains(text, "street:") {
		t.Errorf("the registry says cells, or no streets:\n%.400s", text)
	}
}
