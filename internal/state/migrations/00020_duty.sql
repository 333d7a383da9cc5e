-- Duty: seats of the operators' desk, and the sheets that shifts hand over by.

-- +goose Up

CREATE TABLE seats (
    id         TEXT PRIMARY KEY,
    watching   INTEGER NOT NULL,
    doc        TEXT NOT NULL, -- JSON: the whole seat
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE handovers (
    id         TEXT PRIMARY KEY,
    made       INTEGER NOT NULL,
    state      TEXT NOT NULL, -- open, half, signed
    doc        TEXT NOT NULL, -- JSON: the whole sheet
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX handovers_made ON handovers (made, id);

-- +goose Down

DROP TABLE handovers;
DROP TABLE seats;
