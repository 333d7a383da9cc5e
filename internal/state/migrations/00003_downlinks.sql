-- Orders to devices: each is kept until it has ended and for a season after.

-- +goose Up

CREATE TABLE downlinks (
    id         TEXT PRIMARY KEY,
    device     TEXT NOT NULL,
    doc        TEXT NOT NULL, -- JSON, the order
    confirm    INTEGER NOT NULL,
    once       INTEGER NOT NULL,
    state      TEXT NOT NULL,
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    next       INTEGER NOT NULL,
    sent       INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    trying     INTEGER NOT NULL, -- an attempt was begun and its outcome is not known yet
    way        TEXT NOT NULL,
    ref        TEXT NOT NULL,
    answer     TEXT NOT NULL,
    error      TEXT NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    mode       TEXT NOT NULL,
    district   TEXT NOT NULL DEFAULT '',
    street     TEXT NOT NULL DEFAULT '',
    community  TEXT NOT NULL DEFAULT '',
    compound   TEXT NOT NULL DEFAULT '',
    contractor TEXT NOT NULL DEFAULT '',
    cell       TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX downlinks_created ON downlinks (created, id);
CREATE INDEX downlinks_device ON downlinks (device, created, id);
CREATE INDEX downlinks_open ON downlinks (created, id) WHERE ended = 0;
CREATE INDEX downlinks_ended ON downlinks (ended) WHERE ended <> 0;
