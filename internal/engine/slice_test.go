package engine

import (
	"testing"
	"time"
)

func TestWhereCommitsAreSlowATurnTakesMoreBulkFramesButSmokeNeverWaitsLong(t *testing.T) {
	for committing, want := range map[time.Duration]time.Duration{
		0:                      bulkSlice,
		2 * time.Millisecond:   bulkSlice,
		30 * time.Millisecond:  15 * time.Millisecond,
		800 * time.Millisecond: mostBulkSlice, // a disk that stumbles
	} {
		if got := slice(committing); got != want {
			t.Errorf("after a commit of %v a turn spends %v on bulk frames, want %v", committing, got, want)
		}
	}
}
