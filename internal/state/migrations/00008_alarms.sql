-- The operators' queue; what a unit's messages of little urgency wait for.

-- +goose Up

ALTER TABLE alarms ADD COLUMN queued INTEGER NOT NULL DEFAULT 0; -- active, or latched and not acknowledged
UPDATE alarms SET queued = 1 WHERE active = 1;
CREATE INDEX alarms_queued ON alarms (raised, id) WHERE queued = 1;
ALTER TABLE units ADD COLUMN quiet TEXT NOT NULL DEFAULT '';
ALTER TABLE units ADD COLUMN digest INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deliveries_held ON deliveries (created, ticket, unit, n) WHERE state = 'held';
CREATE INDEX audit_subject ON audit (subject, at, id);

-- +goose Down

DROP INDEX audit_subject;
DROP INDEX deliveries_held;
ALTER TABLE units DROP COLUMN digest;
ALTER TABLE units DROP COLUMN quiet;
DROP INDEX alarms_queued;
ALTER TABLE alarms DROP COLUMN queued;
