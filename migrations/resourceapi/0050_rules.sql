-- +goose Up
-- The ready-made rules that a family's admins switched on, and what counts as
-- its home; NULL for a family without any. rules_version is their ETag.
ALTER TABLE grocery.families
  ADD COLUMN rules jsonb CHECK (octet_length(rules::text) <= 32768),
  ADD COLUMN rules_version bigint NOT NULL DEFAULT 1;
GRANT UPDATE (rules, rules_version) ON grocery.families TO larder_grocery;

-- app.rules tells one state of a family's rules and time zone from another.
CREATE FUNCTION grocery.rules_mark() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('app.rules', true), '');

-- As grocery.enter, which programs of the version before call, and the rules
-- besides.
-- +goose StatementBegin
CREATE FUNCTION grocery.enter_ruled(as_principal text, as_user text, the_family uuid,
  OUT role text, OUT grants jsonb, OUT zone text, OUT rules jsonb, OUT mark text) LANGUAGE plpgsql AS $$
DECLARE
  lists text := '';
BEGIN
  as_principal := set_config('app.principal', as_principal, true);
  as_user := set_config('app.user', as_user, true);
  SELECT m.role INTO role FROM grocery.family_members m
   WHERE m.family_id = the_family AND m.user_id = as_user AND (m.expires_at IS NULL OR m.expires_at > now());
  IF role IS NULL THEN
    RETURN;
  END IF;
  IF role = 'guest' THEN
    SELECT coalesce(string_agg(p.list_id::text, ','), ''), jsonb_object_agg(p.list_id, p.verbs) INTO lists, grants
      FROM grocery.list_permissions p
     WHERE p.family_id = the_family AND p.user_id = as_user AND (p.expires_at IS NULL OR p.expires_at > now());
  END IF;
  PERFORM set_config('app.family', the_family::text, true), set_config('app.standing', role, true), set_config('app.lists', lists, true);
  SELECT f.timezone, f.rules, set_config('app.rules', f.rules_version || ' ' || f.timezone, true) INTO zone, rules, mark
    FROM grocery.families f WHERE f.id = the_family;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION grocery.enter_ruled;
DROP FUNCTION grocery.rules_mark;
ALTER TABLE grocery.families DROP COLUMN rules, DROP COLUMN rules_version;
