-- The hard state. What holds in every table:
--   * ids are text and mean the same on every machine; only events have a number of
--     their own (n), for resuming a stream in commit order on this machine;
--   * times are nanoseconds since 1970 in UTC, 0 is none; lane and outcome are their names;
--   * what a person may see carries its scope (district, street, community, compound,
--     contractor), its cell and its mode, so that a filter never needs a join. Rows that
--     hang on another (moves on a ticket, attempts on a delivery, …) copy it from there
--     when written; installations and devices follow their point when it changes hands.
--     Events, alarms and tickets keep the scope they had when they happened.

-- +goose Up

-- Where the engine is: one row, written by every commit.
CREATE TABLE engine (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    time           INTEGER NOT NULL DEFAULT 0,
    safety_epoch   INTEGER NOT NULL DEFAULT 0,
    safety_seq     INTEGER NOT NULL DEFAULT 0,
    bulk_epoch     INTEGER NOT NULL DEFAULT 0,
    bulk_seq       INTEGER NOT NULL DEFAULT 0,
    influx_segment INTEGER NOT NULL DEFAULT 0,
    influx_offset  INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO engine (id) VALUES (1);

CREATE TABLE ledger (
    transport TEXT NOT NULL,
    source    TEXT NOT NULL,
    lane      TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (transport, source, lane, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE suspects (
    lane    TEXT NOT NULL,
    epoch   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    PRIMARY KEY (lane, epoch, seq)
) STRICT, WITHOUT ROWID;

-- Spans in which we, or one source, could not hear. source '' is the gateway itself.
CREATE TABLE down (
    source  TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, started)
) STRICT, WITHOUT ROWID;

-- Commands already done, by their idempotency key.
CREATE TABLE applied (
    key    TEXT PRIMARY KEY,
    at     INTEGER NOT NULL,
    result BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX applied_at ON applied (at);

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE points (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    district   TEXT NOT NULL DEFAULT '',
    street     TEXT NOT NULL DEFAULT '',
    community  TEXT NOT NULL DEFAULT '',
    compound   TEXT NOT NULL DEFAULT '',
    contractor TEXT NOT NULL DEFAULT '',
    cell       TEXT NOT NULL DEFAULT '',
    mode       TEXT NOT NULL,
    component  TEXT NOT NULL DEFAULT '',
    building   TEXT NOT NULL DEFAULT '',
    floor      TEXT NOT NULL DEFAULT '',
    room       TEXT NOT NULL DEFAULT '',
    address    TEXT NOT NULL DEFAULT '',
    lon        REAL NOT NULL DEFAULT 0,
    lat        REAL NOT NULL DEFAULT 0,
    crs        TEXT NOT NULL DEFAULT '',
    rules      TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX points_street ON points (street, id);
CREATE INDEX points_cell ON points (cell, id);

-- A device is seen by whoever sees the place it was last installed at.
CREATE TABLE devices (
    identity   TEXT PRIMARY KEY,
    profile    TEXT NOT NULL,
    state      TEXT NOT NULL,
    mode       TEXT NOT NULL,
    interval   INTEGER NOT NULL DEFAULT 0,
    installed  INTEGER NOT NULL DEFAULT 0,
    source     TEXT NOT NULL DEFAULT '',
    district   TEXT NOT NULL DEFAULT '',
    street     TEXT NOT NULL DEFAULT '',
    community  TEXT NOT NULL DEFAULT '',
    compound   TEXT NOT NULL DEFAULT '',
    contractor TEXT NOT NULL DEFAULT '',
    cell       TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_street ON devices (street, identity);

CREATE TABLE installations (
    device     TEXT NOT NULL,
    channel    TEXT NOT NULL,
    started    INTEGER NOT NULL,
    ended      INTEGER NOT NULL DEFAULT 0,
    point      TEXT NOT NULL,
    district   TEXT NOT NULL DEFAULT '',
    street     TEXT NOT NULL DEFAULT '',
    community  TEXT NOT NULL DEFAULT '',
    compound   TEXT NOT NULL DEFAULT '',
    contractor TEXT NOT NULL DEFAULT '',
    cell       TEXT NOT NULL DEFAULT '',
    mode       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (device, channel, started)
) STRICT, WITHOUT ROWID;
CREATE INDEX installations_point ON installations (point);

CREATE TABLE units (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    tier       INTEGER NOT NULL,
    district   TEXT NOT NULL DEFAULT '',
    street     TEXT NOT NULL DEFAULT '',
    community  TEXT NOT NULL DEFAULT '',
    compound   TEXT NOT NULL DEFAULT '',
    contractor TEXT NOT NULL DEFAULT '',
    cell       TEXT NOT NULL DEFAULT '',
    mode       TEXT NOT NULL,
    connector  TEXT NOT NULL DEFAULT '',
    url        TEXT NOT NULL DEFAULT '',
    secret     TEXT NOT NULL DEFAULT '',
    token_hash TEXT NOT NULL DEFAULT '', -- sha256, hex; the token itself is not kept
    entry      TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX units_token ON units (token_hash) WHERE token_hash <> '';

CREATE TABLE events (
    n          INTEGER PRIMARY KEY, -- commit order; the newest rows are never deleted
    id         TEXT NOT NULL UNIQUE,
    type       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    action     TEXT NOT NULL,
    point      TEXT NOT NULL,
    device     TEXT NOT NULL,
    channel    TEXT NOT NULL,
    alarm      TEXT NOT NULL,
    ticket     TEXT NOT NULL,
    priority   INTEGER NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    received   INTEGER NOT NULL,
    frame      TEXT NOT NULL,
    value      REAL NOT NULL,
    signal     TEXT NOT NULL,
    profile    TEXT NOT NULL,
    detail     TEXT NOT NULL
) STRICT;
CREATE INDEX events_received ON events (received, id);
CREATE INDEX events_point ON events (point, received, id);
CREATE INDEX events_ticket ON events (ticket) WHERE ticket <> '';

CREATE TABLE alarms (
    id         TEXT PRIMARY KEY,
    type       TEXT NOT NULL,
    point      TEXT NOT NULL,
    device     TEXT NOT NULL,
    priority   INTEGER NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    active     INTEGER NOT NULL,
    acked      INTEGER NOT NULL,
    raised     INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    returned   INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    ticket     TEXT NOT NULL,
    previous   TEXT NOT NULL,
    late       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alarms_raised ON alarms (raised, id);
CREATE INDEX alarms_point ON alarms (point, raised, id);
CREATE INDEX alarms_active ON alarms (raised, id) WHERE active = 1;
CREATE INDEX alarms_returned ON alarms (returned) WHERE active = 0;

-- doc is the whole ticket as JSON but for its assignments; the columns are for filters.
CREATE TABLE tickets (
    id         TEXT PRIMARY KEY,
    case_no    TEXT NOT NULL,
    type       TEXT NOT NULL,
    priority   INTEGER NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    unit       TEXT NOT NULL, -- the lead's
    point      TEXT NOT NULL,
    device     TEXT NOT NULL,
    alarm      TEXT NOT NULL,
    state      TEXT NOT NULL,
    ended      INTEGER NOT NULL,
    tier       INTEGER NOT NULL,
    opened     INTEGER NOT NULL,
    closed     INTEGER NOT NULL,
    due        INTEGER NOT NULL,
    overdue    INTEGER NOT NULL,
    title      TEXT NOT NULL,
    place      TEXT NOT NULL,
    doc        TEXT NOT NULL
) STRICT;
CREATE INDEX tickets_opened ON tickets (opened, id);
CREATE INDEX tickets_open ON tickets (opened, id) WHERE ended = 0;
CREATE INDEX tickets_point ON tickets (point, opened, id);
CREATE INDEX tickets_case ON tickets (case_no);

CREATE TABLE assignments (
    ticket     TEXT NOT NULL,
    n          INTEGER NOT NULL, -- place in the ticket's list
    id         TEXT NOT NULL,
    unit       TEXT NOT NULL,
    lead       INTEGER NOT NULL,
    tier       INTEGER NOT NULL,
    state      TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    stand_down INTEGER NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    PRIMARY KEY (ticket, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX assignments_unit ON assignments (unit, ticket);

CREATE TABLE moves (
    ticket     TEXT NOT NULL,
    n          INTEGER NOT NULL,
    assignment TEXT NOT NULL,
    verb       TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    at         INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    PRIMARY KEY (ticket, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    id         TEXT PRIMARY KEY,
    n          INTEGER NOT NULL,
    ticket     TEXT NOT NULL,
    assignment TEXT NOT NULL,
    unit       TEXT NOT NULL,
    connector  TEXT NOT NULL,
    type       TEXT NOT NULL,
    priority   INTEGER NOT NULL,
    lane       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    next       INTEGER NOT NULL,
    status     INTEGER NOT NULL,
    error      TEXT NOT NULL,
    ref        TEXT NOT NULL,
    done       INTEGER NOT NULL,
    body       TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    mode       TEXT NOT NULL,
    cell       TEXT NOT NULL
) STRICT;
CREATE INDEX deliveries_created ON deliveries (created, id);
CREATE INDEX deliveries_pending ON deliveries (created, ticket, unit, n) WHERE state = 'pending';
CREATE INDEX deliveries_ticket ON deliveries (ticket, n);
CREATE INDEX deliveries_unit ON deliveries (unit, created, id);

CREATE TABLE attempts (
    delivery   TEXT NOT NULL,
    n          INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    took       INTEGER NOT NULL,
    status     INTEGER NOT NULL,
    error      TEXT NOT NULL,
    detail     TEXT NOT NULL,
    unit       TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;

-- Copies of frames that no retry can save; what an envelope says is read again from raw.
CREATE TABLE quarantine (
    id         TEXT PRIMARY KEY,
    reason     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    channel    TEXT NOT NULL,
    guess      TEXT NOT NULL,
    at         INTEGER NOT NULL,
    state      TEXT NOT NULL,
    whole      INTEGER NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL DEFAULT '',
    mode       TEXT NOT NULL DEFAULT '',
    bytes      INTEGER NOT NULL, -- of raw, for the limit
    lane       TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    identity   TEXT NOT NULL,
    transport  TEXT NOT NULL,
    source     TEXT NOT NULL,
    address    TEXT NOT NULL,
    envelope   TEXT NOT NULL,
    flags      INTEGER NOT NULL,
    note       TEXT NOT NULL,
    received   INTEGER NOT NULL,
    raw        BLOB NOT NULL
) STRICT;
CREATE INDEX quarantine_at ON quarantine (at, id);
CREATE INDEX quarantine_waiting ON quarantine (at, id, bytes) WHERE state = 'waiting';
CREATE INDEX quarantine_identity ON quarantine (identity, at, id);

-- What stands behind a P1 or P2 event: kept with its case, longer than the journal.
CREATE TABLE evidence (
    ticket     TEXT NOT NULL,
    decoded    TEXT NOT NULL,
    config     TEXT NOT NULL,
    lane       TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    identity   TEXT NOT NULL,
    transport  TEXT NOT NULL,
    source     TEXT NOT NULL,
    address    TEXT NOT NULL,
    envelope   TEXT NOT NULL,
    flags      INTEGER NOT NULL,
    note       TEXT NOT NULL,
    received   INTEGER NOT NULL,
    raw        BLOB NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    PRIMARY KEY (ticket, lane, epoch, seq)
) STRICT;

-- Who did what to what that is not a ticket's own history.
CREATE TABLE audit (
    id         TEXT PRIMARY KEY,
    at         INTEGER NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    action     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    detail     TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_at ON audit (at, id);
