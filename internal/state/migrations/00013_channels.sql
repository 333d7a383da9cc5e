-- Another channel for what does not get through, and the test of channels.

-- +goose Up

ALTER TABLE units ADD COLUMN backup TEXT NOT NULL DEFAULT '';
ALTER TABLE units ADD COLUMN test TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN instead TEXT NOT NULL DEFAULT ''; -- the delivery that did not get through
ALTER TABLE deliveries ADD COLUMN over TEXT NOT NULL DEFAULT '';    -- the one that went by the next channel
