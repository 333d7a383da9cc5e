-- Who may sign on, and with what. A row is its key and its facts as JSON; times are RFC 3339.
-- No row holds what opens anything: passwords are argon2id, sessions, tokens and recovery codes
-- their SHA-256, the secrets of one-time codes sealed under the key file.

-- +goose Up
CREATE TABLE users (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE, -- folded: Lin and lin are one
    doc  TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    id   TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    doc  TEXT NOT NULL
) STRICT;

CREATE TABLE tokens (
    id  TEXT PRIMARY KEY,
    doc TEXT NOT NULL
) STRICT;
