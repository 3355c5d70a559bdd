-- +goose Up
-- That somebody looked at a personal list is shown to whom it belongs, who is the
-- only one that can have been (audit_own). The name of the event is what tells it
-- apart, because the chain vouches for that.
ALTER POLICY audit_read ON grocery.audit_events
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'app', 'api_key') AND action <> 'personal_list.seen');
-- Who has the chain verified is told of what he may not see only whether it is
-- as it was written.
CREATE POLICY audit_verify ON grocery.audit_events FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'app', 'api_key') AND current_setting('app.audit', true) = 'chain');

-- +goose Down
DROP POLICY audit_verify ON grocery.audit_events;
ALTER POLICY audit_read ON grocery.audit_events
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'app', 'api_key'));
