-- Photos and visits are erased when their time is over, or with a home: the row says that there was
-- one, of what hash, by whom and when, and that it was erased. What is secret of units is sealed from
-- this schema on; the rows themselves are sealed at the start, with the key file.

-- +goose Up
ALTER TABLE evidence_files ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence_files ADD COLUMN erased_why TEXT NOT NULL DEFAULT '';
ALTER TABLE point_photos ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
ALTER TABLE point_photos ADD COLUMN erased_why TEXT NOT NULL DEFAULT '';
ALTER TABLE visits ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;
CREATE INDEX evidence_files_sha256 ON evidence_files (sha256, erased);
CREATE INDEX point_photos_sha256 ON point_photos (sha256, erased);

-- +goose Down
DROP INDEX point_photos_sha256;
DROP INDEX evidence_files_sha256;
ALTER TABLE visits DROP COLUMN erased;
ALTER TABLE point_photos DROP COLUMN erased_why;
ALTER TABLE point_photos DROP COLUMN erased;
ALTER TABLE evidence_files DROP COLUMN erased_why;
ALTER TABLE evidence_files DROP COLUMN erased;
