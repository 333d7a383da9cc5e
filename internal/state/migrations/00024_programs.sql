-- +goose Up

-- Which programs have worked on this file, and which schema each found: what an upgrade, and
-- the way back from one, are told by.
CREATE TABLE programs (
    at      INTEGER PRIMARY KEY,
    program TEXT NOT NULL,
    found   INTEGER NOT NULL, -- schema before its steps
    schema  INTEGER NOT NULL  -- and after them
) STRICT;

-- +goose Down

DROP TABLE programs;
