-- +goose Up
-- The people whose accounts were deleted, by ids that stand for nobody any more:
-- after a restore from a backup they are deleted again. waiting: the APIs that
-- have not confirmed yet that they have forgotten them.
CREATE TABLE auth.erasures (
  user_id   uuid PRIMARY KEY,
  erased_at timestamptz NOT NULL,
  waiting   text[] NOT NULL
);
CREATE INDEX erasures_erased_at ON auth.erasures (erased_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.erasures TO larder_auth;

-- +goose Down
DROP TABLE auth.erasures;
