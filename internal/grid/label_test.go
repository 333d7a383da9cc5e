package grid

import (
	"encoding/json"
	"testing"
	"time"
)

func TestAReadingThatIsWrittenIsReadBack(t *testing.T) {
	for _, want := range []Reading{
		{Signal: DoorOpen, Value: 1, Channel: "2"}, {Signal: DoorOpen}, {Signal: BatteryLevel, Value: 87.5, At: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), History: true, Suspect: true},
	} {
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Reading
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v: want %+v", b, got, err, want)
		}
	}
}
