-- Districts, streets, communities and cells with their borders; how points came to theirs.

-- +goose Up

CREATE TABLE regions (
    code       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    name_en    TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    schematic  INTEGER NOT NULL,
    synthetic  INTEGER NOT NULL,
    source     TEXT NOT NULL,
    shape      TEXT NOT NULL -- JSON, '' of one that has no border
) STRICT, WITHOUT ROWID;
CREATE INDEX regions_kind ON regions (kind, code);

ALTER TABLE points ADD COLUMN given_lon REAL NOT NULL DEFAULT 0;
ALTER TABLE points ADD COLUMN given_lat REAL NOT NULL DEFAULT 0;
ALTER TABLE points ADD COLUMN given_crs TEXT NOT NULL DEFAULT ''; -- '' : the position was given in WGS84
ALTER TABLE points ADD COLUMN placed TEXT NOT NULL DEFAULT '';    -- region, hand, '' : from before there were borders
