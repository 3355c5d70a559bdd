-- +goose Up
-- As in the API: rows are chained in the order of their transactions, once no
-- earlier one can still come. Those from before this step have none.
ALTER TABLE auth.audit_events ADD COLUMN tx xid8 NOT NULL DEFAULT '0';
ALTER TABLE auth.audit_events ALTER COLUMN tx SET DEFAULT pg_current_xact_id();
CREATE INDEX audit_events_settle ON auth.audit_events (tx, id);

-- The events as those of the one family that a chain is kept for, which is
-- nobody's. The reader's rights decide, not the owner's.
CREATE VIEW auth.audit_log WITH (security_invoker = true) AS
SELECT '00000000-0000-0000-0000-000000000001'::uuid AS family_id, id, occurred_at, action, result, actor_kind, actor_id, client_id, target,
       reason, policies, count, source_ip, user_agent, request_id, details, tx
  FROM auth.audit_events;

-- hash is SHA-256 over the one before and the event in canonical JSON (RFC 8785).
CREATE TABLE auth.audit_chain (
  family_id uuid NOT NULL,
  seq       bigint NOT NULL,
  event_id  uuid NOT NULL,
  hash      bytea NOT NULL,
  PRIMARY KEY (family_id, seq),
  UNIQUE (family_id, event_id)
);

-- The last signed head of each day.
CREATE TABLE auth.audit_checkpoints (
  family_id uuid NOT NULL,
  day       date NOT NULL,
  seq       bigint NOT NULL, -- as the token says
  token     text NOT NULL,
  told_at   timestamptz NOT NULL DEFAULT now(), -- when the log outside heard of one
  PRIMARY KEY (family_id, day)
);

-- The entry behind which the chain begins, signed: what came before was
-- forgotten.
CREATE TABLE auth.audit_bases (
  family_id uuid PRIMARY KEY,
  seq       bigint NOT NULL,
  hash      bytea NOT NULL,
  token     text NOT NULL
);

-- How far the keeper came: one row.
CREATE TABLE auth.audit_settled (
  family_id    uuid PRIMARY KEY CHECK (family_id = '00000000-0000-0000-0000-000000000000'),
  tx           xid8 NOT NULL,
  last_family  uuid NOT NULL,
  last_event   uuid NOT NULL
);
INSERT INTO auth.audit_settled VALUES ('00000000-0000-0000-0000-000000000000', '0', '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000');

REVOKE INSERT, UPDATE ON auth.audit_log FROM larder_auth;
REVOKE UPDATE ON auth.audit_chain FROM larder_auth;
REVOKE DELETE ON auth.audit_bases FROM larder_auth;
REVOKE INSERT, DELETE ON auth.audit_settled FROM larder_auth;

-- The service forgets what is older than it is kept; nobody who takes the
-- service over can have it forget the last thirty days.
GRANT DELETE ON auth.audit_events TO larder_auth;
-- +goose StatementBegin
CREATE FUNCTION auth.keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  keep boolean;
BEGIN
  CASE TG_TABLE_NAME
    WHEN 'audit_events' THEN keep := OLD.occurred_at > now() - interval '30 days';
    WHEN 'audit_chain' THEN keep := EXISTS (SELECT FROM auth.audit_events e WHERE e.id = OLD.event_id);
    ELSE keep := OLD.day > current_date - 30;
  END CASE;
  IF keep THEN
    RAISE EXCEPTION 'the audit log is kept' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN OLD;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_is_kept BEFORE DELETE ON auth.audit_events FOR EACH ROW EXECUTE FUNCTION auth.keep_audit();
CREATE TRIGGER audit_is_kept BEFORE DELETE ON auth.audit_chain FOR EACH ROW EXECUTE FUNCTION auth.keep_audit();
CREATE TRIGGER audit_is_kept BEFORE DELETE ON auth.audit_checkpoints FOR EACH ROW EXECUTE FUNCTION auth.keep_audit();

-- +goose Down
DROP TRIGGER audit_is_kept ON auth.audit_events;
REVOKE DELETE ON auth.audit_events FROM larder_auth;
DROP TABLE auth.audit_settled, auth.audit_bases, auth.audit_checkpoints, auth.audit_chain;
DROP FUNCTION auth.keep_audit();
DROP VIEW auth.audit_log;
DROP INDEX auth.audit_events_settle;
ALTER TABLE auth.audit_events DROP COLUMN tx;
