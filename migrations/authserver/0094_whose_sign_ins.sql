-- +goose Up
-- The audit log has a row for each sign-in at a browser, and each is to be found
-- there: request_ids are those of the last ten, the newest first.
ALTER TABLE auth.recognised_devices DROP COLUMN request_id, ADD COLUMN request_ids text[] NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE auth.recognised_devices DROP COLUMN request_ids, ADD COLUMN request_id text CHECK (char_length(request_id) <= 200);
