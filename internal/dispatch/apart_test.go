package dispatch_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
)

func TestACallDoesNotWaitForAnotherOfItsTicketThatCannotGoOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := line(func(_ context.Context, d grid.Delivery) (grid.Receipt, error) {
			if d.N == 1 {
				return grid.Receipt{Status: 503}, errDown
			}
			return grid.Receipt{Status: 200}, nil
		})
		b := newBook()
		d, _ := running(t, b, far, dispatch.Config{Apart: func(unit string) bool { return unit == "call-voice" }})
		d.Notify(b.commit(to("call-voice", "T1", 1, urgent("first")), to("fire-1", "T1", 1, urgent("open"))))
		synctest.Wait()
		d.Notify(b.commit(to("call-voice", "T1", 2, urgent("second")), to("fire-1", "T1", 2, urgent("closed"))))
		pass(time.Second)
		if b.state("second") != grid.DeliveryReceived {
			t.Errorf("the second call is %s, want it made: the first contact does not answer for the second", b.state("second"))
		}
		if b.state("closed") != grid.DeliveryPending {
			t.Errorf("the unit's next message is %s, want it to wait for the one before", b.state("closed"))
		}
	})
}
