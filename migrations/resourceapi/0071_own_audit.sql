-- +goose Up
-- Everybody may know what is recorded of himself (GDPR article 15).
CREATE POLICY audit_own ON grocery.audit_events FOR SELECT
  USING (family_id = grocery.family() AND actor_kind = 'user' AND actor_id = grocery.me());

-- +goose Down
DROP POLICY audit_own ON grocery.audit_events;
