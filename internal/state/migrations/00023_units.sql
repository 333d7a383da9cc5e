-- How deliveries stand, counted by unit: what is done with is not looked at.

-- +goose Up

CREATE INDEX deliveries_undone ON deliveries (unit, state) WHERE state IN ('pending', 'held', 'dead');

-- +goose Down

DROP INDEX deliveries_undone;
