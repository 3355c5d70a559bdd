-- +goose Up
-- A key may be a person's own: it then acts as that person in one family, and
-- goes with the account. family_name is what the family was called when the key
-- was made, for its owner's page alone. last_used_from is the network of the
-- last use, as the API tells it (RFC 7662 §2.1).
ALTER TABLE auth.api_keys
  ALTER COLUMN service_account_id DROP NOT NULL,
  ADD COLUMN user_id        uuid REFERENCES auth.users ON DELETE CASCADE,
  ADD COLUMN family_id      uuid,
  ADD COLUMN family_name    text,
  ADD COLUMN name           text CHECK (char_length(name) BETWEEN 1 AND 60),
  ADD COLUMN last_used_from text CHECK (char_length(last_used_from) <= 64),
  ADD COLUMN warned_at      timestamptz,
  ADD CONSTRAINT api_keys_whose CHECK (
    service_account_id IS NOT NULL AND num_nonnulls(user_id, family_id, family_name, name) = 0
    OR service_account_id IS NULL AND num_nonnulls(user_id, family_id, family_name, name, expires_at) = 5);
CREATE INDEX api_keys_user ON auth.api_keys (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX api_keys_unwarned ON auth.api_keys (expires_at) WHERE user_id IS NOT NULL AND warned_at IS NULL AND revoked_at IS NULL;

-- +goose Down
DELETE FROM auth.api_keys WHERE service_account_id IS NULL;
ALTER TABLE auth.api_keys
  DROP CONSTRAINT api_keys_whose,
  DROP COLUMN user_id, DROP COLUMN family_id, DROP COLUMN family_name, DROP COLUMN name,
  DROP COLUMN last_used_from, DROP COLUMN warned_at,
  ALTER COLUMN service_account_id SET NOT NULL;
