-- +goose Up
-- Which clients took part in a browser session and want to hear of its end. No
-- foreign key to users: of a person who is deleted they hear too.
CREATE TABLE auth.session_clients (
  sid        text NOT NULL,
  client_id  text NOT NULL REFERENCES auth.clients ON DELETE CASCADE,
  user_id    uuid NOT NULL,
  expires_at timestamptz NOT NULL, -- when the session is over at the latest
  PRIMARY KEY (sid, client_id)
);
CREATE INDEX session_clients_user ON auth.session_clients (user_id);
CREATE INDEX session_clients_client ON auth.session_clients (client_id);
CREATE INDEX session_clients_expires_at ON auth.session_clients (expires_at);

-- +goose Down
DROP TABLE auth.session_clients;
