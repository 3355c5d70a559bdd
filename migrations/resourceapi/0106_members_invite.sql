-- +goose Up
-- Members invite, where their family's rules say so: nobody as an admin. They
-- see the invitations that they made, and may clear away what nobody can use.
CREATE FUNCTION grocery.members_invite() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
  RETURN grocery.standing() = 'member'
     AND EXISTS (SELECT FROM grocery.families WHERE id = grocery.family() AND rules ->> 'members_invite' = 'true');
CREATE POLICY invitation_read_own ON grocery.invitations FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() = 'member' AND created_by = grocery.principal());
CREATE POLICY invitation_create_as_member ON grocery.invitations FOR INSERT
  WITH CHECK (family_id = grocery.family() AND role <> 'admin' AND created_by = grocery.principal() AND grocery.members_invite());
CREATE POLICY invitation_clear_own ON grocery.invitations FOR DELETE
  USING (family_id = grocery.family() AND grocery.standing() = 'member' AND created_by = grocery.principal()
         AND (expires_at < now() OR uses_left = 0));

-- +goose Down
DROP POLICY invitation_clear_own ON grocery.invitations;
DROP POLICY invitation_create_as_member ON grocery.invitations;
DROP POLICY invitation_read_own ON grocery.invitations;
DROP FUNCTION grocery.members_invite();
