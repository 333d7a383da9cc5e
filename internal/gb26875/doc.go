// Package gb26875 is the frame of GB/T 26875.3-2011: what a user information transmission
// device of a fire alarm system and a monitoring centre say to each other over TCP, UDP or
// a serial line. It knows the frame, its times and the numbers the standard gives;
// what the objects in a frame mean is a firmware profile's business.
package gb26875
