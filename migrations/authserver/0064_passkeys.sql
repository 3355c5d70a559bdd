-- +goose Up
-- What authenticators call a person (WebAuthn §5.4.3): random, and the same for
-- every passkey of theirs, so that it tells nobody who it is.
CREATE TABLE auth.passkey_users (
  user_id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
  handle  bytea NOT NULL UNIQUE
);

-- Credential records (WebAuthn §4), as far as attestation "none" leaves any.
CREATE TABLE auth.passkeys (
  id              uuid PRIMARY KEY,
  user_id         uuid NOT NULL REFERENCES auth.passkey_users ON DELETE CASCADE,
  credential_id   bytea NOT NULL UNIQUE CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
  public_key      bytea NOT NULL,
  sign_count      bigint NOT NULL,
  transports      text[] NOT NULL DEFAULT '{}',
  aaguid          uuid, -- NULL when the authenticator does not say which make it is
  backup_eligible boolean NOT NULL,
  backup_state    boolean NOT NULL,
  name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 60),
  created_at      timestamptz NOT NULL,
  last_used_at    timestamptz
);
CREATE INDEX passkeys_user ON auth.passkeys (user_id);

-- +goose Down
DROP TABLE auth.passkeys;
DROP TABLE auth.passkey_users;
