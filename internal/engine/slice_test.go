package engine

import (
	"testing"
	"time"
)

func TestWhereCommitsAreSlowATurnTakesMoreBulkFramesButSmokeWaitsNoLongerThanForACommit(t *testing.T) {
	for committing, want := range map[time.Duration]time.Duration{
		0:                      bulkSlice,
		2 * time.Millisecond:   bulkSlice,
		30 * time.Millisecond:  30 * time.Millisecond,
		800 * time.Millisecond: mostBulkSlice, // a disk that stumbles
	} {
		if got := slice(committing); got != want {
			t.Errorf("after a commit of %v a turn spends %v on bulk frames, want %v", committing, got, want)
		}
	}
}

func TestBulkFramesThatMakeManyTicketsEndTheirTurn(t *testing.T) {
	now := time.Now()
	many := make([]string, manyRows)
	for _, c := range []struct {
		b    batch
		want bool
	}{
		{batch{enough: now, tickets: many}, true},
		{batch{enough: now, tickets: many[:20], alarms: many[:20], deliveries: many[:24]}, true},
		{batch{enough: now, tickets: many[:20]}, false},                 // little to write
		{batch{enough: now.Add(time.Millisecond), alarms: many}, false}, // they have not had their 5 ms
	} {
		if got := c.b.heavy(now); got != c.want {
			t.Errorf("%d tickets, %d alarms, enough in %v: %v, want %v", len(c.b.tickets), len(c.b.alarms), c.b.enough.Sub(now), got, c.want)
		}
	}
}
