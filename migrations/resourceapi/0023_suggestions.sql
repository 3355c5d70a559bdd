-- +goose Up
-- How often and when last something was put on a list. owner: of a personal
-- list, whose words suggest themselves to nobody else; '' for shared ones.
CREATE TABLE grocery.item_uses (
  family_id uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  owner     text NOT NULL,
  name_key  text NOT NULL,
  name      text NOT NULL,
  unit      text NOT NULL,
  category  text NOT NULL,
  uses      integer NOT NULL DEFAULT 1,
  last_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, owner, name_key)
) WITH (fillfactor = 80);
GRANT UPDATE (name, unit, category, uses, last_at) ON grocery.item_uses TO larder_grocery;
ALTER TABLE grocery.item_uses ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.item_uses FORCE ROW LEVEL SECURITY;
CREATE POLICY use_reach ON grocery.item_uses
  USING (family_id = grocery.family() AND CASE
    WHEN owner = '' THEN grocery.standing() IN ('admin', 'member', 'app', 'api_key')
    ELSE owner = grocery.me() AND grocery.standing() IN ('admin', 'member') END);

-- +goose StatementBegin
CREATE FUNCTION grocery.count_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO grocery.item_uses AS u (family_id, owner, name_key, name, unit, category)
  VALUES (NEW.family_id, coalesce(NEW.private_to, ''), lower(regexp_replace(NEW.name, '\s+', ' ', 'g')), NEW.name, NEW.unit, NEW.category)
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

-- What a guest puts on a list says nothing of what the family buys.
CREATE TRIGGER items_counted AFTER INSERT ON grocery.items FOR EACH ROW
  WHEN (grocery.standing() IN ('admin', 'member', 'app', 'api_key')) EXECUTE FUNCTION grocery.count_item();

CREATE TABLE grocery.favourites (
  family_id  uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  id         uuid NOT NULL,
  name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  name_key   text NOT NULL,
  quantity   numeric(12, 3) CHECK (quantity > 0),
  unit       text NOT NULL CHECK (char_length(unit) <= 32),
  category   text NOT NULL CHECK (char_length(category) <= 64),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id),
  UNIQUE (family_id, name_key)
);
ALTER TABLE grocery.favourites ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.favourites FORCE ROW LEVEL SECURITY;
CREATE POLICY kitchen_reach ON grocery.favourites
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'member', 'app', 'api_key'));

-- +goose Down
DROP TABLE grocery.favourites;
DROP TRIGGER items_counted ON grocery.items;
DROP FUNCTION grocery.count_item;
DROP TABLE grocery.item_uses;
