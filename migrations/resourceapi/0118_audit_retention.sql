-- +goose Up
-- The entry behind which a family's chain begins, signed: what came before was
-- older than the log is kept, and forgotten.
CREATE TABLE grocery.audit_bases (
  family_id uuid PRIMARY KEY,
  seq       bigint NOT NULL,
  hash      bytea NOT NULL,
  token     text NOT NULL
);
GRANT UPDATE (seq, hash, token) ON grocery.audit_bases TO larder_grocery;
REVOKE DELETE ON grocery.audit_bases FROM larder_grocery;
ALTER TABLE grocery.audit_bases ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.audit_bases FORCE ROW LEVEL SECURITY;
CREATE POLICY base_read ON grocery.audit_bases FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'app', 'api_key') OR grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY base_begin ON grocery.audit_bases FOR INSERT
  WITH CHECK (grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY base_move ON grocery.audit_bases FOR UPDATE
  USING (grocery.standing() = 'keeper' AND grocery.family() IS NULL);

-- Begins with no family: the keeper asks whose days are over.
CREATE INDEX audit_checkpoints_day ON grocery.audit_checkpoints (day);

-- The keeper forgets what is older than it is kept; nobody who takes the service
-- over can have it forget the last thirty days.
GRANT DELETE ON grocery.audit_events, grocery.audit_chain, grocery.audit_checkpoints TO larder_grocery;
CREATE POLICY audit_forget ON grocery.audit_events FOR DELETE
  USING (grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY chain_forget ON grocery.audit_chain FOR DELETE
  USING (grocery.standing() = 'keeper' AND grocery.family() IS NULL);
CREATE POLICY checkpoint_forget ON grocery.audit_checkpoints FOR DELETE
  USING (grocery.standing() = 'keeper' AND grocery.family() IS NULL);
-- +goose StatementBegin
CREATE FUNCTION grocery.keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  keep boolean;
BEGIN
  CASE TG_TABLE_NAME
    WHEN 'audit_events' THEN keep := OLD.occurred_at > now() - interval '30 days';
    WHEN 'audit_chain' THEN keep := EXISTS (SELECT FROM grocery.audit_events e WHERE e.family_id = OLD.family_id AND e.id = OLD.event_id);
    ELSE keep := OLD.day > current_date - 30;
  END CASE;
  IF keep THEN
    RAISE EXCEPTION 'the audit log is kept' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN OLD;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_is_kept BEFORE DELETE ON grocery.audit_events FOR EACH ROW EXECUTE FUNCTION grocery.keep_audit();
CREATE TRIGGER audit_is_kept BEFORE DELETE ON grocery.audit_chain FOR EACH ROW EXECUTE FUNCTION grocery.keep_audit();
CREATE TRIGGER audit_is_kept BEFORE DELETE ON grocery.audit_checkpoints FOR EACH ROW EXECUTE FUNCTION grocery.keep_audit();

-- +goose Down
DROP TRIGGER audit_is_kept ON grocery.audit_events;
DROP TRIGGER audit_is_kept ON grocery.audit_chain;
DROP TRIGGER audit_is_kept ON grocery.audit_checkpoints;
DROP FUNCTION grocery.keep_audit();
DROP POLICY checkpoint_forget ON grocery.audit_checkpoints;
DROP POLICY chain_forget ON grocery.audit_chain;
DROP POLICY audit_forget ON grocery.audit_events;
REVOKE DELETE ON grocery.audit_events, grocery.audit_chain, grocery.audit_checkpoints FROM larder_grocery;
DROP INDEX grocery.audit_checkpoints_day;
DROP TABLE grocery.audit_bases;
