-- +goose Up
-- Favourites are kept as the kitchen's other things are: they can be changed, and
-- have a version.
ALTER TABLE grocery.favourites
  ADD COLUMN version bigint NOT NULL DEFAULT 1,
  ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
GRANT UPDATE (name, name_key, quantity, unit, category, version, updated_at) ON grocery.favourites TO larder_grocery;

-- +goose Down
REVOKE UPDATE (name, name_key, quantity, unit, category) ON grocery.favourites FROM larder_grocery;
ALTER TABLE grocery.favourites DROP COLUMN version, DROP COLUMN updated_at;
