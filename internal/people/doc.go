// Package people is who can be called and who is on duty: contacts, rosters and shifts, as
// pure functions on rows with the time passed in. It sees no number: what tells a person
// is sealed, and package auth has the key.
package people
