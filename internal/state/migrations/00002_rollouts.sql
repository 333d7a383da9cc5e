-- Versions of firmware profiles that were uploaded, and the roll-outs of them. The
-- profiles of the gateway's own files are not here.

-- +goose Up

CREATE TABLE profile_versions (
    profile TEXT NOT NULL,
    version TEXT NOT NULL,
    files   TEXT NOT NULL, -- JSON, name → text
    by_role TEXT NOT NULL,
    by_name TEXT NOT NULL,
    by_unit TEXT NOT NULL,
    at      INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    PRIMARY KEY (profile, version)
) STRICT, WITHOUT ROWID;

-- What holds for a profile from each step on. A step holds for the frames after its
-- positions, so that a replay reads each frame with the version that read it then.
CREATE TABLE rollouts (
    profile      TEXT NOT NULL,
    n            INTEGER NOT NULL,
    rollout      TEXT NOT NULL,
    version      TEXT NOT NULL,
    former       TEXT NOT NULL,
    kept         INTEGER NOT NULL, -- the former version is in profile_versions
    stage        TEXT NOT NULL,
    share        INTEGER NOT NULL,
    devices      TEXT NOT NULL, -- JSON
    forced       INTEGER NOT NULL,
    recount      INTEGER NOT NULL,
    by_role      TEXT NOT NULL,
    by_name      TEXT NOT NULL,
    by_unit      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    detail       TEXT NOT NULL,
    at           INTEGER NOT NULL,
    safety_epoch INTEGER NOT NULL,
    safety_seq   INTEGER NOT NULL,
    bulk_epoch   INTEGER NOT NULL,
    bulk_seq     INTEGER NOT NULL,
    PRIMARY KEY (profile, n)
) STRICT, WITHOUT ROWID;
