-- Hazards: standing dangers to be rectified by a deadline; episodes that people filed.

-- +goose Up

CREATE TABLE hazards (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    level      TEXT NOT NULL,
    point      TEXT NOT NULL,
    state      TEXT NOT NULL,
    overdue    INTEGER NOT NULL,
    found      INTEGER NOT NULL,
    deadline   INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    ticket     TEXT NOT NULL,
    doc        TEXT NOT NULL, -- JSON: the whole hazard
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hazards_found ON hazards (found, id);
CREATE INDEX hazards_point ON hazards (point, kind, found) WHERE point <> '';
CREATE INDEX hazards_open ON hazards (id) WHERE ended = 0;
CREATE INDEX hazards_ticket ON hazards (ticket);
-- From 'filed:' to before 'filed;': every identity that begins so, and no device's.
CREATE INDEX alarms_filed ON alarms (device) WHERE device >= 'filed:' AND device < 'filed;';

-- +goose Down

DROP INDEX alarms_filed;
DROP TABLE hazards;
