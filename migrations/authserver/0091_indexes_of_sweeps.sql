-- What the sweeper asks every minute, and what the deletion of a client looks for.
-- +goose Up
CREATE INDEX consents_client ON auth.consents (client_id);
CREATE INDEX api_keys_ended ON auth.api_keys (least(expires_at, revoked_at));

-- +goose Down
DROP INDEX auth.api_keys_ended;
DROP INDEX auth.consents_client;
