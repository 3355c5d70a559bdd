-- +goose Up
-- Rows are chained in the order of their transactions, once no earlier one can
-- still come: as the feed is read. Those from before this step have none.
ALTER TABLE grocery.audit_events ADD COLUMN tx xid8 NOT NULL DEFAULT '0';
ALTER TABLE grocery.audit_events ALTER COLUMN tx SET DEFAULT pg_current_xact_id();
-- Begins with no family: the keeper asks what is new in all of them.
CREATE INDEX audit_events_settle ON grocery.audit_events (tx, family_id, id);

-- hash is SHA-256 over the one before and the event in canonical JSON (RFC 8785).
CREATE TABLE grocery.audit_chain (
  family_id uuid NOT NULL,
  seq       bigint NOT NULL,
  event_id  uuid NOT NULL,
  hash      bytea NOT NULL,
  PRIMARY KEY (family_id, seq),
  UNIQUE (family_id, event_id)
);

-- The last signed head of each day.
CREATE TABLE grocery.audit_checkpoints (
  family_id uuid NOT NULL,
  day       date NOT NULL,
  seq       bigint NOT NULL, -- as the token says
  token     text NOT NULL,
  told_at   timestamptz NOT NULL DEFAULT now(), -- when the log outside heard of one
  PRIMARY KEY (family_id, day)
);
GRANT UPDATE (seq, token, told_at) ON grocery.audit_checkpoints TO larder_grocery;

-- How far the keeper came: one row, of the family of zeros.
CREATE TABLE grocery.audit_settled (
  family_id    uuid PRIMARY KEY CHECK (family_id = '00000000-0000-0000-0000-000000000000'),
  tx           xid8 NOT NULL,
  last_family  uuid NOT NULL,
  last_event   uuid NOT NULL
);
INSERT INTO grocery.audit_settled VALUES ('00000000-0000-0000-0000-000000000000', '0', '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000');
GRANT UPDATE (tx, last_family, last_event) ON grocery.audit_settled TO larder_grocery;

REVOKE DELETE ON grocery.audit_chain, grocery.audit_checkpoints FROM larder_grocery;
REVOKE INSERT, DELETE ON grocery.audit_settled FROM larder_grocery;

-- +goose StatementBegin
DO $$ DECLARE t text; BEGIN
  FOREACH t IN ARRAY ARRAY['audit_chain', 'audit_checkpoints', 'audit_settled'] LOOP
    EXECUTE format('ALTER TABLE grocery.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE grocery.%I FORCE ROW LEVEL SECURITY', t);
  END LOOP;
END $$;
-- +goose StatementEnd

-- The keeper is the service itself; it has entered no family.
CREATE POLICY audit_settle ON grocery.audit_events FOR SELECT
  USING (grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY chain_read ON grocery.audit_chain FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'app', 'api_key') OR grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY chain_append ON grocery.audit_chain FOR INSERT
  WITH CHECK (grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY checkpoint_read ON grocery.audit_checkpoints FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'app', 'api_key') OR grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY checkpoint_append ON grocery.audit_checkpoints FOR INSERT
  WITH CHECK (grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY checkpoint_renew ON grocery.audit_checkpoints FOR UPDATE
  USING (grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY settled_read ON grocery.audit_settled FOR SELECT
  USING (grocery.standing() = 'keeper' OR grocery.family() IS NOT NULL);
CREATE POLICY settled_move ON grocery.audit_settled FOR UPDATE
  USING (grocery.standing() = 'keeper' AND grocery.family() IS NULL);

-- +goose Down
DROP POLICY audit_settle ON grocery.audit_events;
DROP TABLE grocery.audit_settled, grocery.audit_checkpoints, grocery.audit_chain;
DROP INDEX grocery.audit_events_settle;
ALTER TABLE grocery.audit_events DROP COLUMN tx;
