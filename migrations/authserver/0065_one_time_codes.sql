-- +goose Up
-- Ways to send a person a code as the weaker second factor.
CREATE TABLE auth.message_factors (
  user_id      uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  channel      text NOT NULL CHECK (channel IN ('email', 'sms')),
  phone        text CHECK (phone ~ '^\+[1-9][0-9]{6,14}$'), -- E.164; mail goes to the primary address
  created_at   timestamptz NOT NULL,
  PRIMARY KEY (user_id, channel),
  CHECK ((channel = 'sms') = (phone IS NOT NULL))
);

-- The code that was sent last, one a purpose. It is a MAC over the id under a key
-- that lies sealed: neither this table nor the queue tells it.
CREATE TABLE auth.one_time_codes (
  user_id     uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  purpose     text NOT NULL CHECK (purpose IN ('sign_in', 'phone')),
  id          uuid NOT NULL UNIQUE,
  channel     text NOT NULL CHECK (channel IN ('email', 'sms')),
  target      text NOT NULL,
  device_hash bytea NOT NULL, -- SHA-256 of the device cookie that it was asked for with
  tries       integer NOT NULL DEFAULT 0,
  expires_at  timestamptz NOT NULL,
  PRIMARY KEY (user_id, purpose)
);
CREATE INDEX one_time_codes_expiry ON auth.one_time_codes (expires_at);

-- +goose Down
DROP TABLE auth.one_time_codes;
DROP TABLE auth.message_factors;
