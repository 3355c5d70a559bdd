-- +goose Up
-- What a family is asked about once: the currency in which it notes prices, and
-- for how many days it keeps what its items were.
ALTER TABLE grocery.families
  ADD COLUMN currency text NOT NULL DEFAULT '' CHECK (currency ~ '^([A-Z]{3})?$'),
  ADD COLUMN history_days integer NOT NULL DEFAULT 90 CHECK (history_days BETWEEN 1 AND 365);
GRANT UPDATE (currency, history_days) ON grocery.families TO larder_grocery;

DROP POLICY history_forget ON grocery.item_history;
CREATE POLICY history_forget ON grocery.item_history FOR DELETE
  USING (family_id = grocery.family()
         AND changed_at < now() - make_interval(days => (SELECT f.history_days FROM grocery.families f WHERE f.id = grocery.family())));

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION grocery.remember_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO grocery.item_history (family_id, item_id, list_id, private_to, removed, changed_by, version, name, quantity, unit, note,
                                    category, barcode, photo, checked_at, checked_by, position, added_by, created_at)
  VALUES (OLD.family_id, OLD.id, OLD.list_id, OLD.private_to, TG_OP = 'DELETE', grocery.principal(), OLD.version, OLD.name, OLD.quantity,
          OLD.unit, OLD.note, OLD.category, OLD.barcode, OLD.photo, OLD.checked_at, OLD.checked_by, OLD.position, OLD.added_by, OLD.created_at);
  IF random() < 1.0 / 16 THEN
    DELETE FROM grocery.item_history h
     USING (SELECT item_id, seq FROM grocery.item_history
             WHERE family_id = OLD.family_id
               AND changed_at < now() - make_interval(days => (SELECT f.history_days FROM grocery.families f WHERE f.id = OLD.family_id))
             ORDER BY changed_at LIMIT 64) o
     WHERE h.family_id = OLD.family_id AND h.item_id = o.item_id AND h.seq = o.seq;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION grocery.remember_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
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
DROP POLICY history_forget ON grocery.item_history;
CREATE POLICY history_forget ON grocery.item_history FOR DELETE
  USING (family_id = grocery.family() AND changed_at < now() - interval '90 days');
ALTER TABLE grocery.families DROP COLUMN currency, DROP COLUMN history_days;
