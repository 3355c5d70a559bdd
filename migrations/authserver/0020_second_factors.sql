-- +goose Up
-- One authenticator app (RFC 6238) a person. secret is sealed for this row;
-- last_step is the newest time step that was accepted, and none up to it is
-- accepted again.
CREATE TABLE auth.mfa_totp (
  user_id      uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
  id           uuid NOT NULL,
  secret       bytea NOT NULL,
  last_step    bigint NOT NULL,
  created_at   timestamptz NOT NULL,
  last_used_at timestamptz NOT NULL
);

-- hash is an HMAC under a key that lies sealed: the table alone tells nobody a
-- code, short as they are.
CREATE TABLE auth.recovery_codes (
  user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  hash    bytea NOT NULL,
  used_at timestamptz,
  PRIMARY KEY (user_id, hash)
);

-- Browsers that are not asked for a second factor. password_changed_at is that
-- of the password in force when the device was trusted: with another password
-- the trust is over, whoever changed it and however.
CREATE TABLE auth.trusted_devices (
  id                  uuid PRIMARY KEY,
  user_id             uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  device_hash         bytea NOT NULL, -- SHA-256 of the device cookie
  name                text NOT NULL CHECK (char_length(name) <= 100),
  password_changed_at timestamptz,
  trusted_at          timestamptz NOT NULL,
  expires_at          timestamptz NOT NULL,
  UNIQUE (user_id, device_hash)
);
CREATE INDEX trusted_devices_expiry ON auth.trusted_devices (expires_at);

-- +goose Down
DROP TABLE auth.trusted_devices;
DROP TABLE auth.recovery_codes;
DROP TABLE auth.mfa_totp;
