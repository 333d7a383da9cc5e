-- Windows: bounded times in which signals of named points are expected; postures of the district.

-- +goose Up

CREATE TABLE windows (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    holder     TEXT NOT NULL,
    started    INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    doc        TEXT NOT NULL, -- JSON: the whole window
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX windows_started ON windows (started, id);
CREATE INDEX windows_open ON windows (started, id) WHERE ended = 0;

CREATE TABLE postures (
    id         TEXT PRIMARY KEY,
    posture    TEXT NOT NULL,
    started    INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    ended      INTEGER NOT NULL,
    ended_by   TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX postures_started ON postures (started, id);

-- +goose Down

DROP TABLE postures;
DROP TABLE windows;
