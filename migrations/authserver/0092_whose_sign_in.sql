-- +goose Up
-- The sign-in that each recognised browser did last: the session it began, as
-- tokens name it, and the request, as the audit log names it. NULL for browsers
-- that signed in before this, or that were let in by a mail.
ALTER TABLE auth.recognised_devices ADD COLUMN sid text CHECK (char_length(sid) <= 60), ADD COLUMN request_id text CHECK (char_length(request_id) <= 200);

-- +goose Down
ALTER TABLE auth.recognised_devices DROP COLUMN request_id, DROP COLUMN sid;
