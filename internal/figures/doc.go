// Package figures turns tickets, alarms and devices of a period into the figures of the
// KPI board, and verified alarms into the list of hot-spots. All of it is a function of
// what a Source hands out; nothing here writes.
//
//	marks of tickets, activations, standings, fleet ──▶ tally per group ──▶ Board
//	marks of tickets, present list, now             ──▶ Judge           ──▶ listings
//
// Every figure is a numerator, and for shares a denominator, that are counted; where the
// denominator is 0 there is no value. Only what is live counts. A merged ticket is a report
// and nothing more: its work is that of the other. A ticket that was closed by force is not
// closed: it stays due.
package figures
