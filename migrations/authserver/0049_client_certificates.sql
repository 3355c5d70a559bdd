-- +goose Up
-- Thumbprint (RFC 8705 §3.1) of the certificate that a public client's refresh
-- tokens are bound to (§4); empty for none.
ALTER TABLE auth.grants ADD COLUMN certificate_x5t text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE auth.grants DROP COLUMN certificate_x5t;
