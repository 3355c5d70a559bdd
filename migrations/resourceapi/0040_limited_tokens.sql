-- +goose Up
-- Narrows a caller who has just entered a family down to some of its shared
-- lists: from here on row-level security treats him as a guest of those. That
-- he may see them at all is the policies' to say, since this reads as him. A
-- caller who has not entered stays outside.
-- +goose StatementBegin
CREATE FUNCTION grocery.narrow(named uuid[], every boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  lists text;
BEGIN
  IF grocery.family() IS NULL THEN
    RETURN;
  END IF;
  SELECT coalesce(string_agg(l.id::text, ','), '') INTO lists
    FROM grocery.lists l
   WHERE l.family_id = grocery.family() AND l.owner IS NULL AND (every OR l.id = ANY (named));
  PERFORM set_config('app.standing', 'guest', true), set_config('app.lists', lists, true);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION grocery.narrow;
