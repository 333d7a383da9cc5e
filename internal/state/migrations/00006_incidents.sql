-- Incidents: episodes of one cause at one place, under one ticket.

-- +goose Up

ALTER TABLE alarms ADD COLUMN incident TEXT NOT NULL DEFAULT '';
ALTER TABLE alarms ADD COLUMN detail TEXT NOT NULL DEFAULT ''; -- JSON, '' when there is nothing
ALTER TABLE alarms ADD COLUMN building TEXT NOT NULL DEFAULT ''; -- as it was when the episode began
CREATE INDEX alarms_incident ON alarms (incident, raised, id) WHERE incident <> '';
CREATE INDEX alarms_ticket ON alarms (ticket);

CREATE TABLE incidents (
    id         TEXT PRIMARY KEY,
    cause      TEXT NOT NULL,
    place      TEXT NOT NULL,
    type       TEXT NOT NULL,
    priority   INTEGER NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    building   TEXT NOT NULL,
    lon        REAL NOT NULL,
    lat        REAL NOT NULL,
    ticket     TEXT NOT NULL,
    opened     INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    confirmed  INTEGER NOT NULL,
    members    INTEGER NOT NULL,
    active     INTEGER NOT NULL,
    related    TEXT NOT NULL -- JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX incidents_opened ON incidents (opened, id);
CREATE INDEX incidents_open ON incidents (opened, id) WHERE ended = 0;
