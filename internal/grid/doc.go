// Package grid holds gridgate's words and contracts: what a frame, a point, an alarm
// or a ticket is, and what a transport, a decoder or a connector must promise.
// It uses the standard library only, and every other package imports it.
package grid
