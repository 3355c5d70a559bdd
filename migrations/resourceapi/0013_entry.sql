-- +goose Up
-- Puts the context of a person, and of the family if he is in it: one statement
-- at the start of every request. Without a row of his own that row-level
-- security shows him, the role is NULL and app.family stays empty. A guest
-- brings the lists that were granted to him; nobody else pays for looking.
-- +goose StatementBegin
CREATE FUNCTION grocery.enter(as_principal text, as_user text, the_family uuid, OUT role text, OUT grants jsonb) LANGUAGE plpgsql AS $$
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
END $$;
-- +goose StatementEnd

-- The usual row, a shared one before somebody who sees them all, costs no more
-- than the parenthesis, which is evaluated once a query and not once a row. It
-- reads no table: setting that up would cost more than it saves.
ALTER POLICY item_reach ON grocery.items
  USING (family_id = grocery.family() AND CASE
    WHEN private_to IS NULL AND (SELECT grocery.standing() IN ('admin', 'member', 'app', 'api_key')) THEN true
    WHEN private_to IS NULL THEN grocery.standing() IN ('guest', 'joiner') AND list_id = ANY (grocery.granted())
    ELSE private_to = grocery.me() AND grocery.standing() IN ('admin', 'member') END);

-- +goose Down
ALTER POLICY item_reach ON grocery.items
  USING (family_id = grocery.family() AND CASE
    WHEN private_to IS NOT NULL THEN private_to = grocery.me() AND grocery.standing() IN ('admin', 'member')
    WHEN grocery.standing() IN ('guest', 'joiner') THEN list_id = ANY (grocery.granted())
    ELSE grocery.standing() IN ('admin', 'member', 'app', 'api_key') END);
DROP FUNCTION grocery.enter;
