-- +goose Up
-- The families that a person ever was in, so that they are found when the
-- account is deleted: what somebody wrote stays behind when he leaves.
CREATE TABLE grocery.footprints (
  family_id uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  user_id   text NOT NULL,
  PRIMARY KEY (family_id, user_id)
);
CREATE INDEX footprints_of_user ON grocery.footprints (user_id, family_id);
ALTER TABLE grocery.family_members NO FORCE ROW LEVEL SECURITY; -- the owner reads them all, this once
ALTER TABLE grocery.audit_events NO FORCE ROW LEVEL SECURITY;
INSERT INTO grocery.footprints (family_id, user_id)
SELECT family_id, user_id FROM grocery.family_members
UNION SELECT a.family_id, a.target FROM grocery.audit_events a JOIN grocery.families f ON f.id = a.family_id
       WHERE a.action IN ('member.left', 'member.removed') AND a.target IS NOT NULL;
ALTER TABLE grocery.family_members FORCE ROW LEVEL SECURITY;
ALTER TABLE grocery.audit_events FORCE ROW LEVEL SECURITY;
ALTER TABLE grocery.footprints ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.footprints FORCE ROW LEVEL SECURITY;
CREATE POLICY footprint_read ON grocery.footprints FOR SELECT USING (family_id = grocery.family() OR user_id = grocery.me());
CREATE POLICY footprint_leave ON grocery.footprints FOR INSERT WITH CHECK (family_id = grocery.family() AND user_id = grocery.me());
CREATE POLICY footprint_erase ON grocery.footprints FOR DELETE USING (family_id = grocery.family() AND grocery.principal() = 'system:eraser');

-- +goose StatementBegin
CREATE FUNCTION grocery.leave_footprint() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF grocery.family() IS NOT NULL THEN -- bulk work by the owner leaves none
    INSERT INTO grocery.footprints (family_id, user_id) VALUES (NEW.family_id, NEW.user_id) ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER members_leave_footprints AFTER INSERT ON grocery.family_members FOR EACH ROW EXECUTE FUNCTION grocery.leave_footprint();

-- Who did a thing is changed by nobody but the eraser, who takes a name away.
-- +goose StatementBegin
CREATE FUNCTION grocery.only_eraser() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'who did a thing does not change' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$ DECLARE t record; BEGIN
  FOR t IN SELECT c.oid, c.relname, string_agg(quote_ident(a.attname), ', ') AS columns
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = 'grocery'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped AND a.atttypid = 'text'::regtype
              AND (a.attname LIKE '%\_by' OR c.relname = 'change_feed' AND a.attname IN ('actor', 'entity_id'))
              AND NOT has_column_privilege('larder_grocery', c.oid, a.attnum, 'UPDATE')
            GROUP BY c.oid, c.relname LOOP
    EXECUTE format('GRANT UPDATE (%s) ON grocery.%I TO larder_grocery', t.columns, t.relname);
    EXECUTE format('CREATE TRIGGER authorship_stays BEFORE UPDATE OF %s ON grocery.%I FOR EACH ROW
      WHEN (grocery.principal() IS DISTINCT FROM ''system:eraser'') EXECUTE FUNCTION grocery.only_eraser()', t.columns, t.relname);
  END LOOP;
END $$;
-- +goose StatementEnd
CREATE POLICY feed_erase ON grocery.change_feed FOR UPDATE
  USING (family_id = grocery.family() AND grocery.principal() = 'system:eraser');
CREATE POLICY invitation_erase ON grocery.invitations FOR UPDATE
  USING (family_id = grocery.family() AND grocery.principal() = 'system:eraser');

-- Takes a person out of everything that a family keeps under the name of whoever
-- did it. The caller acts as an admin and as the person (app.user), so that it
-- reaches what either may see; others' personal lists know nothing of him.
-- +goose StatementBegin
CREATE FUNCTION grocery.forget_person(the_family uuid, person text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT r.relname, a.attname, CASE r.relname WHEN 'families' THEN 'id' ELSE 'family_id' END AS tenant
             FROM pg_class r JOIN pg_attribute a ON a.attrelid = r.oid
            WHERE r.relnamespace = 'grocery'::regnamespace AND r.relkind = 'r' AND NOT a.attisdropped AND a.atttypid = 'text'::regtype
              AND (a.attname LIKE '%\_by' OR r.relname = 'change_feed' AND a.attname = 'actor') LOOP
    EXECUTE format('UPDATE grocery.%I SET %I = ''user:deleted'' WHERE %I = $1 AND %I = $2', c.relname, c.attname, c.tenant, c.attname)
      USING the_family, 'user:' || person;
  END LOOP;
  UPDATE grocery.change_feed SET entity_id = 'deleted' WHERE family_id = the_family AND entity_id = person;
  DELETE FROM grocery.change_feed WHERE family_id = the_family AND private_to = person;
  DELETE FROM grocery.item_uses WHERE family_id = the_family AND owner = person;
  DELETE FROM grocery.operations WHERE family_id = the_family AND principal = 'user:' || person;
  DELETE FROM grocery.footprints WHERE family_id = the_family AND user_id = person;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION grocery.forget_person;
DROP POLICY invitation_erase ON grocery.invitations;
DROP POLICY feed_erase ON grocery.change_feed;
-- +goose StatementBegin
DO $$ DECLARE t record; BEGIN
  FOR t IN SELECT c.relname, string_agg(quote_ident(a.attname), ', ') AS columns
             FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (g.tgattr)
            WHERE g.tgname = 'authorship_stays' AND c.relnamespace = 'grocery'::regnamespace GROUP BY c.relname LOOP
    EXECUTE format('DROP TRIGGER authorship_stays ON grocery.%I', t.relname);
    EXECUTE format('REVOKE UPDATE (%s) ON grocery.%I FROM larder_grocery', t.columns, t.relname);
  END LOOP;
END $$;
-- +goose StatementEnd
DROP FUNCTION grocery.only_eraser;
DROP TRIGGER members_leave_footprints ON grocery.family_members;
DROP FUNCTION grocery.leave_footprint;
DROP TABLE grocery.footprints;
