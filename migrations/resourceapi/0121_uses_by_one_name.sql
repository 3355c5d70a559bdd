-- +goose Up
-- A word is the same however its accents are written.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION grocery.count_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO grocery.item_uses AS u (family_id, owner, name_key, name, unit, category)
  VALUES (NEW.family_id, coalesce(NEW.private_to, ''), lower(regexp_replace(normalize(NEW.name), '\s+', ' ', 'g')), NEW.name, NEW.unit, NEW.category)
  ON CONFLICT (family_id, owner, name_key) DO UPDATE
    SET name = excluded.name, unit = excluded.unit, category = coalesce(nullif(excluded.category, ''), u.category), uses = u.uses + 1, last_at = now();
  IF random() < 1.0 / 64 THEN -- what nobody bought for a year, and what is too much, is forgotten
    DELETE FROM grocery.item_uses WHERE family_id = NEW.family_id AND (owner, name_key) IN (
      SELECT owner, name_key FROM (SELECT owner, name_key, last_at, row_number() OVER (ORDER BY last_at DESC) AS n
                                     FROM grocery.item_uses WHERE family_id = NEW.family_id) o
       WHERE o.n > 2000 OR o.last_at < now() - interval '1 year' LIMIT 200);
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

ALTER TABLE grocery.item_uses NO FORCE ROW LEVEL SECURITY; -- the owner reaches them all, this once
WITH odd AS (DELETE FROM grocery.item_uses WHERE name_key IS NOT NFC NORMALIZED RETURNING family_id, owner, name_key, name, unit, category, uses, last_at)
INSERT INTO grocery.item_uses AS u (family_id, owner, name_key, name, unit, category, uses, last_at)
SELECT family_id, owner, normalize(name_key), (array_agg(name ORDER BY last_at DESC))[1], (array_agg(unit ORDER BY last_at DESC))[1],
       (array_agg(category ORDER BY last_at DESC))[1], sum(uses), max(last_at)
  FROM odd GROUP BY 1, 2, 3
    ON CONFLICT (family_id, owner, name_key) DO UPDATE SET uses = u.uses + excluded.uses, last_at = greatest(u.last_at, excluded.last_at);
ALTER TABLE grocery.item_uses FORCE ROW LEVEL SECURITY;

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION grocery.count_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO grocery.item_uses AS u (family_id, owner, name_key, name, unit, category)
  VALUES (NEW.family_id, coalesce(NEW.private_to, ''), lower(regexp_replace(NEW.name, '\s+', ' ', 'g')), NEW.name, NEW.unit, NEW.category)
  ON CONFLICT (family_id, owner, name_key) DO UPDATE
    SET name = excluded.name, unit = excluded.unit, category = coalesce(nullif(excluded.category, ''), u.category), uses = u.uses + 1, last_at = now();
  IF random() < 1.0 / 64 THEN
    DELETE FROM grocery.item_uses WHERE family_id = NEW.family_id AND (owner, name_key) IN (
      SELECT owner, name_key FROM (SELECT owner, name_key, last_at, row_number() OVER (ORDER BY last_at DESC) AS n
                                     FROM grocery.item_uses WHERE family_id = NEW.family_id) o
       WHERE o.n > 2000 OR o.last_at < now() - interval '1 year' LIMIT 200);
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
