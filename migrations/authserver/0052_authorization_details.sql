-- +goose Up
-- What a grant is limited to (RFC 9396): an array of authorization details, or
-- NULL for one that its scopes alone describe.
ALTER TABLE auth.grants ADD COLUMN authorization_details jsonb;

-- +goose Down
ALTER TABLE auth.grants DROP COLUMN authorization_details;
