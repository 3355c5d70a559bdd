-- +goose Up
-- Thumbprint (RFC 7638) of the key that a public client's refresh tokens are
-- bound to (RFC 9449 §5); empty for none.
ALTER TABLE auth.grants ADD COLUMN dpop_jkt text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE auth.grants DROP COLUMN dpop_jkt;
