-- +goose Up
-- When the password is to be looked up among stolen ones again: at a sign-in,
-- since only then it is known.
ALTER TABLE auth.passwords ADD COLUMN breach_check_at timestamptz;

-- +goose Down
ALTER TABLE auth.passwords DROP COLUMN breach_check_at;
