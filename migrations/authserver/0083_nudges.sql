-- +goose Up
-- When a person last waved away the offer of a passkey or an authenticator app.
ALTER TABLE auth.users ADD COLUMN nudge_dismissed_at timestamptz;

-- +goose Down
ALTER TABLE auth.users DROP COLUMN nudge_dismissed_at;
