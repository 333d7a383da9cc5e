-- +goose Up
ALTER TABLE units ADD COLUMN settings TEXT NOT NULL DEFAULT ''; -- JSON object of strings; '' : none

-- +goose Down
ALTER TABLE units DROP COLUMN settings;
