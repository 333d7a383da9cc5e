package auth

// passkey is one of a person's.
type passkey struct{}

// ceremony is a passkey that is being made or shown.
type ceremony struct{}
