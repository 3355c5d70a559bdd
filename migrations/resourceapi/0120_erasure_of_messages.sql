-- +goose Up
-- Messages to webhooks name who did a thing, too: the eraser, and nobody else, may
-- take a name out of them.
GRANT UPDATE (payload) ON grocery.webhook_deliveries TO larder_grocery;
CREATE TRIGGER authorship_stays BEFORE UPDATE OF payload ON grocery.webhook_deliveries FOR EACH ROW
  WHEN (grocery.principal() IS DISTINCT FROM 'system:eraser') EXECUTE FUNCTION grocery.only_eraser();

-- +goose Down
DROP TRIGGER authorship_stays ON grocery.webhook_deliveries;
REVOKE UPDATE (payload) ON grocery.webhook_deliveries FROM larder_grocery;
