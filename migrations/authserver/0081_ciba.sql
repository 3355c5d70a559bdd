-- +goose Up
-- What clients ask of people whom they name (OpenID CIBA Core). A request for
-- somebody who is not here lies like any other, with no user, and waits in vain.
CREATE TABLE auth.ciba_requests (
  id              uuid PRIMARY KEY,
  code_hash       bytea NOT NULL UNIQUE, -- SHA-256 of the auth_req_id
  client_id       text NOT NULL REFERENCES auth.clients ON DELETE CASCADE,
  user_id         uuid REFERENCES auth.users ON DELETE CASCADE,
  person          bytea NOT NULL, -- SHA-256 of the user's id, or of the address that nobody has
  request         jsonb NOT NULL,
  binding_message text NOT NULL,
  factor          boolean NOT NULL, -- more than a password is asked for
  notification    bytea, -- sealed: where the auth_req_id and the client's token lie for a ping; NULL for a client that polls
  state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'denied', 'used')),
  login           jsonb, -- of the person who approved
  answered_at     timestamptz,
  polled_at       timestamptz,
  poll_interval   interval NOT NULL,
  expires_at      timestamptz NOT NULL,
  CHECK ((login IS NOT NULL) = (state IN ('approved', 'used')))
);
CREATE INDEX ciba_requests_pending ON auth.ciba_requests (person, expires_at) WHERE state = 'pending';
CREATE INDEX ciba_requests_user ON auth.ciba_requests (user_id);
CREATE INDEX ciba_requests_client ON auth.ciba_requests (client_id);
CREATE INDEX ciba_requests_expiry ON auth.ciba_requests (expires_at);

-- +goose Down
DROP TABLE auth.ciba_requests;
