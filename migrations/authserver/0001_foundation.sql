-- +goose Up
-- +goose StatementBegin
-- Roles belong to the cluster: another database of it may make this one at the
-- same moment.
DO $$ BEGIN
  CREATE ROLE larder_auth NOLOGIN NOSUPERUSER NOBYPASSRLS;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END $$;
-- +goose StatementEnd

CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO larder_auth;
GRANT SELECT ON larder_auth_migrations TO larder_auth; -- for /readyz: is the schema as new as the program?
ALTER DEFAULT PRIVILEGES IN SCHEMA auth GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO larder_auth;

-- People. profile holds the standard claims of OpenID Connect Core §5.1 that
-- have no column of their own.
CREATE TABLE auth.users (
  id          uuid PRIMARY KEY,
  name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  operator    boolean NOT NULL DEFAULT false,
  profile     jsonb NOT NULL DEFAULT '{}',
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  disabled_at timestamptz
);

-- address keeps what was typed; canonical is what identity is decided by.
CREATE TABLE auth.emails (
  canonical   text PRIMARY KEY CHECK (char_length(canonical) <= 254),
  user_id     uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  address     text NOT NULL CHECK (char_length(address) <= 254),
  is_primary  boolean NOT NULL DEFAULT true,
  verified_at timestamptz
);
CREATE UNIQUE INDEX emails_primary ON auth.emails (user_id) WHERE is_primary;
CREATE INDEX emails_user ON auth.emails (user_id);

CREATE TABLE auth.passwords (
  user_id    uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE,
  hash       text NOT NULL, -- PHC string, argon2id
  changed_at timestamptz NOT NULL DEFAULT now()
);

-- Clients (RFC 7591). A secret is 256 random bits and lies here as SHA-256;
-- there may be two while one is being replaced.
CREATE TABLE auth.clients (
  id            text PRIMARY KEY CHECK (char_length(id) BETWEEN 1 AND 128),
  secret_hashes bytea[] NOT NULL DEFAULT '{}' CHECK (cardinality(secret_hashes) <= 2),
  metadata      jsonb NOT NULL,
  version       bigint NOT NULL DEFAULT 1,
  created_at    timestamptz NOT NULL DEFAULT now(),
  updated_at    timestamptz NOT NULL DEFAULT now(),
  disabled_at   timestamptz
);
CREATE INDEX clients_updated ON auth.clients (updated_at); -- each replica asks twice a second what has changed

CREATE TABLE auth.consents (
  user_id    uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  client_id  text NOT NULL REFERENCES auth.clients ON DELETE CASCADE,
  scopes     text[] NOT NULL,
  resources  text[] NOT NULL,
  granted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, client_id)
);

-- One row per grant, whether or not it has a refresh token: the durable second
-- check that a code is spent once, and the whole refresh token family. A
-- rotation changes no indexed column, so that it stays a heap-only update.
CREATE TABLE auth.grants (
  id              uuid PRIMARY KEY,
  code_hash       bytea UNIQUE, -- SHA-256 of the code that made it
  client_id       text NOT NULL REFERENCES auth.clients ON DELETE CASCADE,
  user_id         uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
  sid             text NOT NULL,
  scopes          text[] NOT NULL,
  resources       text[] NOT NULL,
  session         jsonb NOT NULL, -- auth_time, acr, amr and what else the next token repeats
  generation      integer NOT NULL DEFAULT 0,
  salt            bytea, -- of the newest refresh token; NULL when the grant has none
  previous_salt   bytea,
  rotated_at      timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now(),
  idle_expires_at timestamptz NOT NULL,
  expires_at      timestamptz NOT NULL,
  revoked_at      timestamptz,
  revoked_reason  text
) WITH (fillfactor = 70);
CREATE INDEX grants_user ON auth.grants (user_id);
CREATE INDEX grants_client ON auth.grants (client_id);
CREATE INDEX grants_sid ON auth.grants (sid);
CREATE INDEX grants_expiry ON auth.grants (expires_at);

-- Keys that sign tokens. private is sealed by a key-encryption key.
--   published_at <= activate_at - JWKS lifetime; retire_at >= end of use + longest token
CREATE TABLE auth.signing_keys (
  kid          text PRIMARY KEY,
  alg          text NOT NULL,
  private      bytea NOT NULL,
  public       jsonb NOT NULL,
  published_at timestamptz NOT NULL,
  activate_at  timestamptz NOT NULL,
  retire_at    timestamptz
);
CREATE INDEX signing_keys_alg ON auth.signing_keys (alg, activate_at);

-- Symmetric keys by purpose (session, refresh_token, code …), sealed likewise.
CREATE TABLE auth.data_keys (
  id         uuid PRIMARY KEY,
  purpose    text NOT NULL,
  key        bytea NOT NULL,
  created_at timestamptz NOT NULL,
  retire_at  timestamptz
);
CREATE INDEX data_keys_purpose ON auth.data_keys (purpose, created_at);

CREATE TABLE auth.service_accounts (
  id          uuid PRIMARY KEY,
  family_id   uuid NOT NULL,
  name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  created_by  text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  disabled_at timestamptz
);
CREATE INDEX service_accounts_family ON auth.service_accounts (family_id);

CREATE TABLE auth.api_keys (
  id                 uuid PRIMARY KEY,
  service_account_id uuid NOT NULL REFERENCES auth.service_accounts ON DELETE CASCADE,
  hash               bytea NOT NULL UNIQUE, -- SHA-256 of the whole key
  hint               text NOT NULL,         -- its last four characters, to tell keys apart
  scopes             text[] NOT NULL,
  expires_at         timestamptz,
  created_at         timestamptz NOT NULL DEFAULT now(),
  last_used_at       timestamptz,
  revoked_at         timestamptz
);
CREATE INDEX api_keys_service_account ON auth.api_keys (service_account_id);

-- What was revoked before it expired, until it has: replicas and resource
-- servers read this feed. kind is jti, grant_id, api_key, client_id, sid or sub.
CREATE TABLE auth.revocations (
  kind       text NOT NULL,
  value      text NOT NULL,
  revoked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (kind, value)
);
CREATE INDEX revocations_revoked_at ON auth.revocations (revoked_at);
CREATE INDEX revocations_expires_at ON auth.revocations (expires_at);

CREATE TABLE auth.audit_events (
  id          uuid PRIMARY KEY,
  occurred_at timestamptz NOT NULL,
  action      text NOT NULL,
  result      text NOT NULL CHECK (result IN ('success', 'failure', 'denied')),
  actor_kind  text NOT NULL, -- user, client, api_key, operator, system, anonymous
  actor_id    text NOT NULL,
  client_id   text,
  target      text,
  reason      text,
  policies    text[] NOT NULL DEFAULT '{}',
  count       integer NOT NULL DEFAULT 1,
  source_ip   text,
  user_agent  text,
  request_id  text,
  details     jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_events_time ON auth.audit_events (occurred_at);
CREATE INDEX audit_events_actor ON auth.audit_events (actor_id, occurred_at);
REVOKE UPDATE, DELETE ON auth.audit_events FROM larder_auth;

-- +goose Down
DROP SCHEMA auth CASCADE;
