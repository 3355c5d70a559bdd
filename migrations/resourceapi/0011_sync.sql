-- +goose Up
-- What was done with the operations that clients sent, for those who did not
-- hear the answer and send them again. As in change_feed, no foreign key.
CREATE TABLE grocery.operations (
  family_id uuid NOT NULL,
  principal text NOT NULL,
  id        uuid NOT NULL,
  digest    bytea NOT NULL, -- of what was asked
  status    text NOT NULL CHECK (status IN ('applied', 'merged', 'conflict')),
  conflicts text[] NOT NULL DEFAULT '{}',
  done_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, principal, id)
);
CREATE INDEX operations_age ON grocery.operations (family_id, done_at);
ALTER TABLE grocery.operations ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.operations FORCE ROW LEVEL SECURITY;
CREATE POLICY operation_read ON grocery.operations FOR SELECT
  USING (family_id = grocery.family() AND (principal = grocery.principal() OR grocery.standing() = 'admin'));
CREATE POLICY operation_record ON grocery.operations FOR INSERT
  WITH CHECK (family_id = grocery.family() AND principal = grocery.principal());
CREATE POLICY operation_forget ON grocery.operations FOR DELETE
  USING (family_id = grocery.family() AND (grocery.standing() = 'admin' OR done_at < now() - interval '7 days'));

-- +goose Down
DROP TABLE grocery.operations;
