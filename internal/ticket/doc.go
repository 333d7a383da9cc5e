// Package ticket is the life of a ticket: who may move it, from where, with what, its
// clocks, and its check. It is pure functions on a ticket with plans as data: no clock,
// no I/O, nothing kept between calls.
//
// Open makes a ticket, Apply takes the moves of people and units, Tick the passing of
// time, Check what the sensor shows after the lead has reported it done, and Rejoin an
// alarm that comes back. Nothing else changes a ticket or an assignment. Each writes one
// line of history per change and says whom to tell; a line with a From of "" begins an
// assignment that helps, and the lines of that assignment carry its own states; all
// others carry the states of the ticket, which follows its lead.
package ticket
