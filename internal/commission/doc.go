// Package commission says what has to be shown at a point of each kind before it counts as
// protected, and judges a visit by what came: pure functions on data, no I/O.
//
// The promise: no word of a person makes a visit pass. A step that the device has to show is
// passed by a frame of that device whose time lies in that visit, and by nothing else.
package commission
