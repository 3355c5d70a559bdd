-- +goose Up
-- Whom an invitation was mailed to is forgotten when it is used up, and the rest
-- of it when it is over: the service itself looks for those, in all families.
CREATE INDEX invitations_over ON grocery.invitations (expires_at);
GRANT UPDATE (email) ON grocery.invitations TO larder_grocery;
CREATE POLICY invitation_over_seen ON grocery.invitations FOR SELECT
  USING (grocery.standing() = 'courier' AND grocery.family() IS NULL AND expires_at < now());
CREATE POLICY invitation_over_gone ON grocery.invitations FOR DELETE
  USING (grocery.standing() = 'courier' AND grocery.family() IS NULL AND expires_at < now());

ALTER TABLE grocery.invitations NO FORCE ROW LEVEL SECURITY; -- the owner reaches them all, this once
UPDATE grocery.invitations SET email = NULL WHERE uses_left = 0 AND email IS NOT NULL;
ALTER TABLE grocery.invitations FORCE ROW LEVEL SECURITY;

-- +goose Down
DROP POLICY invitation_over_gone ON grocery.invitations;
DROP POLICY invitation_over_seen ON grocery.invitations;
REVOKE UPDATE (email) ON grocery.invitations FROM larder_grocery;
DROP INDEX grocery.invitations_over;
