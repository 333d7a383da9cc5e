-- Tasks of the operator's, files behind a case, the phone of a unit's desk.

-- +goose Up

ALTER TABLE units ADD COLUMN phone TEXT NOT NULL DEFAULT '';
ALTER TABLE tickets ADD COLUMN tasks INTEGER NOT NULL DEFAULT 0; -- that are not done
CREATE INDEX tickets_tasks ON tickets (opened, id) WHERE tasks > 0 AND ended = 0;

CREATE TABLE evidence_files (
    id         TEXT PRIMARY KEY,
    ticket     TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    type       TEXT NOT NULL,
    shows      TEXT NOT NULL,
    note       TEXT NOT NULL,
    by_role    TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    by_unit    TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_files_ticket ON evidence_files (ticket, at, id);
