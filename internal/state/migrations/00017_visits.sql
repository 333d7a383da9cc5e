-- Visits: commissioning of a device at a point, what was shown, who signed it.

-- +goose Up

CREATE TABLE visits (
    id            TEXT PRIMARY KEY,
    device        TEXT NOT NULL,
    point         TEXT NOT NULL,
    kind          TEXT NOT NULL,
    state         TEXT NOT NULL,
    needs_gateway INTEGER NOT NULL,
    started       INTEGER NOT NULL,
    decided       INTEGER NOT NULL, -- 0: open or pending
    newest        INTEGER NOT NULL, -- 1: it says whether its point is proven
    doc           TEXT NOT NULL,    -- JSON: the whole visit
    district      TEXT NOT NULL,
    street        TEXT NOT NULL,
    community     TEXT NOT NULL,
    compound      TEXT NOT NULL,
    contractor    TEXT NOT NULL,
    cell          TEXT NOT NULL,
    mode          TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX visits_started ON visits (started, id);
CREATE INDEX visits_point ON visits (point, started);
CREATE INDEX visits_live ON visits (id) WHERE decided = 0;
CREATE INDEX visits_unproven ON visits (point) WHERE newest = 1 AND state IN ('pending', 'failed');

-- +goose Down

DROP TABLE visits;
