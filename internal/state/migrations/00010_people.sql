-- Contacts, rosters and shifts. What tells a person (number, name) is sealed.

-- +goose Up

CREATE TABLE contacts (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    role       TEXT NOT NULL,
    place      INTEGER NOT NULL, -- the order of calling
    channel    TEXT NOT NULL,
    hours      TEXT NOT NULL,
    verified   INTEGER NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    erased     INTEGER NOT NULL,
    sealed     BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX contacts_owner ON contacts (owner, place, id);

CREATE TABLE rosters (
    id         TEXT PRIMARY KEY,
    whom       TEXT NOT NULL,
    hours      TEXT NOT NULL,
    fallback   TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    ended      INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE shifts (
    id         TEXT PRIMARY KEY,
    whom       TEXT NOT NULL,
    person     TEXT NOT NULL,
    started    INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    hours      TEXT NOT NULL,
    every      INTEGER NOT NULL,
    length     INTEGER NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    ended      INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX shifts_for ON shifts (whom, started, id);
