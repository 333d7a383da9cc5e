// Package alarm decides what a condition at a point means: when it becomes an alarm,
// when it has gone back to normal, when a device is offline, and what a smoke alarm is
// worth that arrives late. It is pure functions on state with rules as data: no clock,
// no I/O, nothing kept between calls.
//
// Normal means heard: a condition is normal when a fresh reading says so and none says
// otherwise for the set time. Nothing in this package takes silence for normal.
package alarm
