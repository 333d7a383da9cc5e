-- +goose Up

-- Sheets that were handed in; doc is the whole row as JSON, the columns are for filters.
CREATE TABLE imports (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    state      TEXT NOT NULL,
    at         INTEGER NOT NULL,
    doc        TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX imports_at ON imports (at, id);
CREATE INDEX imports_busy ON imports (at, id) WHERE state IN ('checking', 'applying', 'undoing');

-- What each piece of an import has changed, so that it can be put back; kept is what an
-- undo has left as it is.
CREATE TABLE import_pieces (
    import     TEXT NOT NULL,
    n          INTEGER NOT NULL, -- the first row of the sheet
    was        BLOB NOT NULL,
    kept       TEXT NOT NULL,
    district   TEXT NOT NULL,
    street     TEXT NOT NULL,
    community  TEXT NOT NULL,
    compound   TEXT NOT NULL,
    contractor TEXT NOT NULL,
    cell       TEXT NOT NULL,
    mode       TEXT NOT NULL,
    PRIMARY KEY (import, n)
) STRICT;

-- +goose Down

DROP TABLE import_pieces;
DROP TABLE imports;
