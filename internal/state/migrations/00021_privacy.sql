-- Privacy: whose space a point looks into was empty for points of before it was asked. What is
-- not said now is worked out as for a new point (registry.PrivacyOf).

-- +goose Up

UPDATE points SET privacy = CASE
    WHEN kind IN ('parking', 'manhole') THEN 'public_space'
    WHEN kind = 'door' AND rules IN ('fire_door', 'secured') THEN 'shared_building'
    WHEN room <> '' THEN 'dwelling'
    ELSE 'shared_building'
END WHERE privacy = '';
