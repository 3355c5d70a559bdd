-- +goose Up
-- Whom an event of a provider's signs out: should that fail once the identity is
-- gone, the event comes again and nothing else would tell whose it was.
ALTER TABLE auth.federation_events ADD COLUMN user_id uuid REFERENCES auth.users ON DELETE SET NULL;
CREATE INDEX federation_events_user_id ON auth.federation_events (user_id) WHERE user_id IS NOT NULL;

-- +goose Down
DROP INDEX auth.federation_events_user_id;
ALTER TABLE auth.federation_events DROP COLUMN user_id;
