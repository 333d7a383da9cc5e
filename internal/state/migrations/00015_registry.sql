-- Sites and buildings; what is known of points and devices; the history of the registry.

-- +goose Up

ALTER TABLE points ADD COLUMN site TEXT NOT NULL DEFAULT '';
ALTER TABLE points ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE points ADD COLUMN privacy TEXT NOT NULL DEFAULT '';
ALTER TABLE points ADD COLUMN state TEXT NOT NULL DEFAULT ''; -- '' : active, from before there were states
ALTER TABLE points ADD COLUMN notes TEXT NOT NULL DEFAULT '';
CREATE INDEX points_near ON points (lat, lon);
CREATE INDEX points_building ON points (building, id) WHERE building <> '';

ALTER TABLE devices ADD COLUMN serial TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN hardware TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN battery_type TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN battery_cells INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN battery_fitted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN bought INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN warranty INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN notes TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN why TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN stolen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN replaced_by TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN last_point TEXT NOT NULL DEFAULT '';
CREATE INDEX devices_serial ON devices (serial) WHERE serial <> '';

CREATE TABLE sites (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    address    TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    lon        REAL NOT NULL,
    lat        REAL NOT NULL,
    crs        TEXT NOT NULL,
    owner      TEXT NOT NULL,
    notes      TEXT NOT NULL,
    retired    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE buildings (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    site       TEXT NOT NULL,
    address    TEXT NOT NULL,
    entrances  TEXT NOT NULL, -- JSON
    key_holder TEXT NOT NULL, -- a role, no name
    floors     INTEGER NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    lon        REAL NOT NULL,
    lat        REAL NOT NULL,
    crs        TEXT NOT NULL,
    owner      TEXT NOT NULL,
    notes      TEXT NOT NULL,
    retired    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX buildings_site ON buildings (site, id) WHERE site <> '';

-- Append-only. A line of an installation is of its point and of its device. Ids sort by when
-- we were told.
CREATE TABLE registry_log (
    id         TEXT PRIMARY KEY,
    at         INTEGER NOT NULL,
    recorded   INTEGER NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    via        TEXT NOT NULL,
    action     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    point      TEXT NOT NULL,
    device     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    cause      TEXT NOT NULL,
    before     TEXT NOT NULL, -- JSON, only what changed; '' : it is new
    after      TEXT NOT NULL,
    n          INTEGER NOT NULL, -- place among the lines of one act
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_log_point ON registry_log (point, recorded, n) WHERE point <> '';
CREATE INDEX registry_log_device ON registry_log (device, recorded, n) WHERE device <> '';
CREATE INDEX registry_log_other ON registry_log (kind, subject, recorded, n) WHERE kind IN ('building', 'site', 'unit');

CREATE TABLE point_photos (
    id         TEXT PRIMARY KEY,
    point      TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    original   TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    type       TEXT NOT NULL,
    shows      TEXT NOT NULL,
    note       TEXT NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX point_photos_point ON point_photos (point, at, id);

-- +goose Down

DROP TABLE point_photos;
DROP TABLE registry_log;
DROP TABLE buildings;
DROP TABLE sites;
DROP INDEX devices_serial;
DROP INDEX points_building;
DROP INDEX points_near;
