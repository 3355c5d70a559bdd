-- +goose Up
ALTER TABLE grocery.items
  ADD COLUMN barcode text NOT NULL DEFAULT '' CHECK (char_length(barcode) <= 14),
  ADD COLUMN photo   text NOT NULL DEFAULT '' CHECK (char_length(photo) <= 500);
GRANT UPDATE (barcode, photo) ON grocery.items TO larder_grocery;

-- What items were before they were changed, for whoever wants to undo it. Goes
-- with the list, and after 90 days. Checking off writes nothing here: that an
-- item is checked, and by whom, it says itself.
CREATE TABLE grocery.item_history (
  family_id  uuid NOT NULL,
  item_id    uuid NOT NULL,
  seq        bigint GENERATED ALWAYS AS IDENTITY,
  list_id    uuid NOT NULL,
  private_to text,
  removed    boolean NOT NULL, -- the change took the item away
  changed_by text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  version    bigint NOT NULL,
  name       text NOT NULL,
  quantity   numeric(12, 3),
  unit       text NOT NULL,
  note       text NOT NULL,
  category   text NOT NULL,
  barcode    text NOT NULL,
  photo      text NOT NULL,
  checked_at timestamptz,
  checked_by text,
  position   double precision NOT NULL,
  added_by   text NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (family_id, item_id, seq),
  FOREIGN KEY (family_id, list_id) REFERENCES grocery.lists ON DELETE CASCADE
);
CREATE INDEX item_history_list ON grocery.item_history (family_id, list_id);
CREATE INDEX item_history_age ON grocery.item_history (family_id, changed_at);
ALTER TABLE grocery.item_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.item_history FORCE ROW LEVEL SECURITY;
CREATE POLICY history_reach ON grocery.item_history
  USING (family_id = grocery.family() AND CASE
    WHEN private_to IS NULL AND (SELECT grocery.standing() IN ('admin', 'member', 'app', 'api_key')) THEN true
    WHEN private_to IS NULL THEN grocery.standing() IN ('guest', 'joiner') AND list_id = ANY (grocery.granted())
    ELSE private_to = grocery.me() AND grocery.standing() IN ('admin', 'member') END);
CREATE POLICY history_forget ON grocery.item_history FOR DELETE
  USING (family_id = grocery.family() AND changed_at < now() - interval '90 days');

-- +goose StatementBegin
CREATE FUNCTION grocery.remember_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO grocery.item_history (family_id, item_id, list_id, private_to, removed, changed_by, version, name, quantity, unit, note,
                                    category, barcode, photo, checked_at, checked_by, position, added_by, created_at)
  VALUES (OLD.family_id, OLD.id, OLD.list_id, OLD.private_to, TG_OP = 'DELETE', grocery.principal(), OLD.version, OLD.name, OLD.quantity,
          OLD.unit, OLD.note, OLD.category, OLD.barcode, OLD.photo, OLD.checked_at, OLD.checked_by, OLD.position, OLD.added_by, OLD.created_at);
  IF random() < 1.0 / 16 THEN
    DELETE FROM grocery.item_history h
     USING (SELECT item_id, seq FROM grocery.item_history
             WHERE family_id = OLD.family_id AND changed_at < now() - interval '90 days' ORDER BY changed_at LIMIT 64) o
     WHERE h.family_id = OLD.family_id AND h.item_id = o.item_id AND h.seq = o.seq;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

-- Only what a request itself changes: when a list goes, so does its history.
-- Without a context (bulk work by the owner) nothing is remembered.
CREATE TRIGGER items_edited AFTER UPDATE OF name, quantity, unit, note, category, barcode, photo ON grocery.items FOR EACH ROW
  WHEN (grocery.family() IS NOT NULL AND (OLD.name, OLD.quantity, OLD.unit, OLD.note, OLD.category, OLD.barcode, OLD.photo)
        IS DISTINCT FROM (NEW.name, NEW.quantity, NEW.unit, NEW.note, NEW.category, NEW.barcode, NEW.photo))
  EXECUTE FUNCTION grocery.remember_item();
CREATE TRIGGER items_unchecked AFTER UPDATE OF checked_at ON grocery.items FOR EACH ROW
  WHEN (OLD.checked_at IS NOT NULL AND NEW.checked_at IS NULL AND grocery.family() IS NOT NULL)
  EXECUTE FUNCTION grocery.remember_item();
CREATE TRIGGER items_removed AFTER DELETE ON grocery.items FOR EACH ROW
  WHEN (pg_trigger_depth() = 0 AND grocery.family() IS NOT NULL)
  EXECUTE FUNCTION grocery.remember_item();

-- +goose Down
DROP TRIGGER items_removed ON grocery.items;
DROP TRIGGER items_unchecked ON grocery.items;
DROP TRIGGER items_edited ON grocery.items;
DROP TABLE grocery.item_history;
DROP FUNCTION grocery.remember_item;
ALTER TABLE grocery.items DROP COLUMN barcode, DROP COLUMN photo;
