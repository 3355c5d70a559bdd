-- +goose Up
-- Clients that registered themselves (RFC 7591). access_hash is the SHA-256 of
-- the token with which one looks after its own registration (RFC 7592).
CREATE TABLE auth.client_registrations (
  client_id   text PRIMARY KEY REFERENCES auth.clients ON DELETE CASCADE,
  access_hash bytea NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX client_registrations_created_at ON auth.client_registrations (created_at);

-- Initial access tokens (RFC 7591 §3), each good for some registrations.
CREATE TABLE auth.registration_tokens (
  hash       bytea PRIMARY KEY, -- SHA-256
  uses_left  integer NOT NULL CHECK (uses_left >= 0),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX registration_tokens_expires_at ON auth.registration_tokens (expires_at);

-- +goose Down
DROP TABLE auth.registration_tokens;
DROP TABLE auth.client_registrations;
