// Package state keeps gridgate's hard state in one SQLite file: registry, alarms, tickets
// with their assignments, deliveries, quarantine, ledger and the engine's cursors.
//
// The promise: a Commit is one transaction, on disk and synced when it returns nil, and
// absent when it returns an error. Rows and cursors are therefore always of the same
// moment, whatever kills the process. There is one writer, the engine; everyone else
// reads, on connections of their own, and sees a commit as soon as it has returned.
//
// The file holds the units' webhook secrets as they are, since a signature needs them, and
// their API tokens as hashes; it is readable by its owner only (mode 0600), and so is a
// backup of it.
package state
