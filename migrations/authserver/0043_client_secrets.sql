-- +goose Up
-- The secrets of clients that sign with them (client_secret_jwt), in the order
-- of secret_hashes and sealed. All other clients have none here: a hash is
-- enough to compare with.
ALTER TABLE auth.clients
  ADD COLUMN sealed_secrets bytea[] NOT NULL DEFAULT '{}' CHECK (cardinality(sealed_secrets) <= 2);

-- +goose Down
ALTER TABLE auth.clients DROP COLUMN sealed_secrets;
