-- Labels with a claim token, and strangers that a person has set aside.

-- +goose Up

CREATE TABLE claim_labels (
    id         TEXT PRIMARY KEY,
    hash       TEXT NOT NULL, -- of the token, which is nowhere
    device     TEXT NOT NULL,
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    used       INTEGER NOT NULL, -- 0: not yet
    ended      INTEGER NOT NULL, -- 0: not yet
    why        TEXT NOT NULL,
    ender_role TEXT NOT NULL,
    ender_name TEXT NOT NULL,
    ender_unit TEXT NOT NULL,
    district   TEXT NOT NULL, -- where the device may be claimed
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX claim_labels_hash ON claim_labels (hash);
CREATE INDEX claim_labels_device ON claim_labels (device, created);

CREATE TABLE strangers_ignored (
    identity   TEXT PRIMARY KEY,
    reason     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    ended      INTEGER NOT NULL, -- 0: it is ignored
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down

DROP TABLE strangers_ignored;
DROP TABLE claim_labels;
