// Package duty is what holds at the operators' desk: its seats and when one watches, what is
// done about an alarm that nobody takes, what goes over from shift to shift, and what stands on
// the sheet for the day the screens are dark. It decides and gathers; the engine keeps it.
package duty
