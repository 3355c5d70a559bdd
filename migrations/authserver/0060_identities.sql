-- +goose Up
-- Accounts elsewhere with which people sign in (Google, Apple). What names one
-- is issuer and subject, never the address. refresh_token is Apple's, sealed
-- for this row: it is kept only to be taken back when the account goes.
CREATE TABLE auth.identities (
  id            uuid PRIMARY KEY,
  user_id       uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  provider      text NOT NULL,
  issuer        text NOT NULL,
  subject       text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 255),
  email         text NOT NULL CHECK (char_length(email) <= 254), -- as the provider said last
  private_relay boolean NOT NULL DEFAULT false,
  relay_off_at  timestamptz, -- Apple forwards no mail since then
  suspended_at  timestamptz, -- the provider has disabled the account
  refresh_token bytea,
  created_at    timestamptz NOT NULL,
  last_used_at  timestamptz NOT NULL,
  UNIQUE (issuer, subject)
);
CREATE INDEX identities_user ON auth.identities (user_id);

-- What the providers have told us, so that nothing is acted on twice. A token
-- is taken for a week after it was made, and remembered for longer.
CREATE TABLE auth.federation_events (
  issuer      text NOT NULL,
  jti         text NOT NULL,
  received_at timestamptz NOT NULL,
  PRIMARY KEY (issuer, jti)
);
CREATE INDEX federation_events_received_at ON auth.federation_events (received_at);

-- +goose Down
DROP TABLE auth.federation_events;
DROP TABLE auth.identities;
