-- +goose Up
-- What 0070 did for the tables before it: the eraser, and nobody else, may take a
-- name away.
GRANT UPDATE (created_by) ON grocery.recurring TO larder_grocery;
CREATE TRIGGER authorship_stays BEFORE UPDATE OF created_by ON grocery.recurring FOR EACH ROW
  WHEN (grocery.principal() IS DISTINCT FROM 'system:eraser') EXECUTE FUNCTION grocery.only_eraser();

-- +goose Down
DROP TRIGGER authorship_stays ON grocery.recurring;
REVOKE UPDATE (created_by) ON grocery.recurring FROM larder_grocery;
