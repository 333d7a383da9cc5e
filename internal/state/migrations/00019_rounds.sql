-- Contractors: terms of units, contracts over places, rounds, and visits at which nobody opened.

-- +goose Up

ALTER TABLE units ADD COLUMN term_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE units ADD COLUMN term_to INTEGER NOT NULL DEFAULT 0;

CREATE TABLE contracts (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    given      INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    doc        TEXT NOT NULL, -- JSON: the whole contract
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX contracts_given ON contracts (given, id);

CREATE TABLE rounds (
    id         TEXT PRIMARY KEY,
    unit       TEXT NOT NULL,
    day        TEXT NOT NULL,
    state      TEXT NOT NULL,
    ended      INTEGER NOT NULL,
    made       INTEGER NOT NULL,
    doc        TEXT NOT NULL, -- JSON: the whole round
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX rounds_day ON rounds (day, id);
CREATE INDEX rounds_unit ON rounds (unit, day, id);
CREATE INDEX rounds_open ON rounds (id) WHERE ended = 0;

CREATE TABLE no_entries (
    id         TEXT PRIMARY KEY,
    round      TEXT NOT NULL,
    unit       TEXT NOT NULL,
    place      TEXT NOT NULL, -- tells buildings apart
    next       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    approved   INTEGER NOT NULL,
    doc        TEXT NOT NULL, -- JSON: the whole row
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX no_entries_at ON no_entries (at, id);
CREATE INDEX no_entries_unit ON no_entries (unit, place, at);

-- +goose Down

DROP TABLE no_entries;
DROP TABLE rounds;
DROP TABLE contracts;
ALTER TABLE units DROP COLUMN term_to;
ALTER TABLE units DROP COLUMN term_from;
