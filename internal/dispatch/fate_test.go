package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
)

func TestReceiptSaysHowFarADeliveryIs(t *testing.T) {
	for want, c := range map[grid.DeliveryState]line{
		grid.DeliverySent:     func(context.Context, grid.Delivery) (grid.Receipt, error) { return grid.Receipt{Carried: true}, nil },
		grid.DeliveryReceived: func(context.Context, grid.Delivery) (grid.Receipt, error) { return grid.Receipt{Status: 200}, nil },
		grid.DeliverySeen: func(context.Context, grid.Delivery) (grid.Receipt, error) {
			return grid.Receipt{Carried: true, SeenBy: "duty"}, nil
		},
		grid.DeliveryWithheld: func(context.Context, grid.Delivery) (grid.Receipt, error) {
			return grid.Receipt{}, fmt.Errorf("%w: no form for it", dispatch.ErrWithheld)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBook(urgent("D1"), to("fire-1", "T1", 2, urgent("D2")))
			d, stop := running(t, b, c, dispatch.Config{})
			defer stop()
			pass(time.Minute)
			if b.state("D1") != want || b.state("D2") != want {
				t.Errorf("deliveries are %s and %s, want both %s", b.state("D1"), b.state("D2"), want)
			}
			if s := d.Stats().Lanes[grid.Safety]; s.Failed != 0 || s.Dead != 0 || len(s.Deaf) != 0 {
				t.Errorf("%s: %+v, want no failure", want, s)
			}
		})
	}
}

func TestUnitThatCannotBeReadIsNotTakenForDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := errors.New("disk is slow")
		c := dispatch.NewTemplate(specOf(t, plainSpec), dispatch.Reach{Unit: func(context.Context, string) (grid.Unit, error) { return grid.Unit{}, store }})
		b := newBook()
		for i := range 20 {
			b.commit(to("fire-1", fmt.Sprint("T", i), 1, urgent(fmt.Sprint("D", i))))
		}
		d, stop := running(t, b, c, dispatch.Config{})
		defer stop()
		pass(10 * time.Second)
		if s := d.Stats().Lanes[grid.Safety]; len(s.Deaf) != 0 || s.Failed == 0 {
			t.Errorf("%+v: want failures, and a unit that is not taken for deaf", s)
		}
	})
}
