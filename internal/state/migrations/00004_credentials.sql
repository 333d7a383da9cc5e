-- Keys, passwords and certificates of devices. What is secret of them is sealed under the
-- key file of the gateway, which is not in here.

-- +goose Up

CREATE TABLE credentials (
    id          TEXT PRIMARY KEY,
    device      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL, -- 0: never
    replaced    TEXT NOT NULL,    -- by the credential of this id
    ended       INTEGER NOT NULL, -- 0: not yet
    why         TEXT NOT NULL,
    last_used   INTEGER NOT NULL,
    by_role     TEXT NOT NULL,
    by_name     TEXT NOT NULL,
    by_unit     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    sealed      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX credentials_by_device ON credentials (device, created);
CREATE INDEX credentials_by_fingerprint ON credentials (fingerprint) WHERE fingerprint <> '';
