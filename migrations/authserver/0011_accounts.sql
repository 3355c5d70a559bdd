-- +goose Up
-- Links that a mail carries, each good once. What stands in the mail is the id
-- with a code over it: this table opens nothing by itself. A newer link of a
-- purpose takes the place of the older one.
CREATE TABLE auth.links (
  id         uuid PRIMARY KEY,
  purpose    text NOT NULL, -- register, reset, email
  subject    text NOT NULL, -- whom it concerns: a user's id, or who registers
  data       jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  UNIQUE (purpose, subject)
);
CREATE INDEX links_expires_at ON auth.links (expires_at);
CREATE INDEX links_subject ON auth.links (subject);

-- When an account that its owner deleted goes for good; NULL while it stays.
ALTER TABLE auth.users ADD COLUMN delete_at timestamptz;
CREATE INDEX users_delete_at ON auth.users (delete_at) WHERE delete_at IS NOT NULL;

-- Recent sign-ins: a failed one names the account as its target.
CREATE INDEX audit_events_target ON auth.audit_events (target, occurred_at) WHERE target IS NOT NULL;

-- +goose Down
DROP INDEX auth.audit_events_target;
ALTER TABLE auth.users DROP COLUMN delete_at;
DROP TABLE auth.links;
