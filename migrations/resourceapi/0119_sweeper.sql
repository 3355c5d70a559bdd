-- +goose Up
-- What a family's next change would take away goes, too, where there is no next
-- one. The standing "sweeper" is that of the service itself; of what it sees it
-- deletes nothing that is not over.
CREATE POLICY family_swept ON grocery.families FOR SELECT
  USING (grocery.standing() = 'sweeper' AND grocery.family() IS NULL);

CREATE POLICY feed_swept ON grocery.change_feed FOR SELECT
  USING (grocery.standing() = 'sweeper' AND grocery.family() IS NULL);
CREATE POLICY feed_sweep ON grocery.change_feed FOR DELETE
  USING (grocery.standing() = 'sweeper' AND grocery.family() IS NULL AND occurred_at < now() - interval '30 days');

CREATE POLICY operation_swept ON grocery.operations FOR SELECT
  USING (grocery.standing() = 'sweeper' AND grocery.family() IS NULL);
CREATE POLICY operation_sweep ON grocery.operations FOR DELETE
  USING (grocery.standing() = 'sweeper' AND grocery.family() IS NULL AND done_at < now() - interval '7 days');

CREATE POLICY history_swept ON grocery.item_history FOR SELECT
  USING (grocery.standing() = 'sweeper' AND grocery.family() IS NULL);
CREATE POLICY history_sweep ON grocery.item_history FOR DELETE
  USING (grocery.standing() = 'sweeper' AND grocery.family() IS NULL
         AND changed_at < now() - make_interval(days => (SELECT f.history_days FROM grocery.families f WHERE f.id = family_id)));

-- A courier's round ends with the last webhook; these were left over.
ALTER TABLE grocery.webhook_rounds NO FORCE ROW LEVEL SECURITY; -- the owner sees them all, this once
ALTER TABLE grocery.webhooks NO FORCE ROW LEVEL SECURITY;
DELETE FROM grocery.webhook_rounds r WHERE NOT EXISTS (SELECT FROM grocery.webhooks w WHERE w.family_id = r.family_id);
ALTER TABLE grocery.webhooks FORCE ROW LEVEL SECURITY;
ALTER TABLE grocery.webhook_rounds FORCE ROW LEVEL SECURITY;

-- +goose Down
DROP POLICY history_sweep ON grocery.item_history;
DROP POLICY history_swept ON grocery.item_history;
DROP POLICY operation_sweep ON grocery.operations;
DROP POLICY operation_swept ON grocery.operations;
DROP POLICY feed_sweep ON grocery.change_feed;
DROP POLICY feed_swept ON grocery.change_feed;
DROP POLICY family_swept ON grocery.families;
