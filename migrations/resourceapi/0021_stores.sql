-- +goose Up
-- aisles: categories, in the order in which one meets them. aisle_keys are the
-- same as they are compared. only_aisles: nothing else is bought there.
CREATE TABLE grocery.stores (
  family_id   uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  id          uuid NOT NULL,
  name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  aisles      text[] NOT NULL CHECK (cardinality(aisles) <= 100),
  aisle_keys  text[] NOT NULL,
  only_aisles boolean NOT NULL,
  version     bigint NOT NULL DEFAULT 1,
  created_by  text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id)
);
GRANT UPDATE (name, aisles, aisle_keys, only_aisles, version, updated_at) ON grocery.stores TO larder_grocery;

-- What a thing cost at a store. amount is in the smallest coin of the currency.
CREATE TABLE grocery.prices (
  family_id uuid NOT NULL,
  store_id  uuid NOT NULL,
  id        uuid NOT NULL,
  name      text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  name_key  text NOT NULL,
  amount    bigint NOT NULL CHECK (amount BETWEEN 0 AND 1000000000),
  currency  text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  quantity  numeric(12, 3) NOT NULL CHECK (quantity > 0),
  unit      text NOT NULL CHECK (char_length(unit) <= 32),
  noted_by  text NOT NULL,
  noted_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id),
  FOREIGN KEY (family_id, store_id) REFERENCES grocery.stores ON DELETE CASCADE
);
CREATE INDEX prices_of_thing ON grocery.prices (family_id, store_id, name_key, noted_at DESC, id);

-- +goose StatementBegin
DO $$ DECLARE t text; BEGIN
  FOREACH t IN ARRAY ARRAY['stores', 'prices'] LOOP
    EXECUTE format('ALTER TABLE grocery.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE grocery.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY kitchen_reach ON grocery.%I USING (family_id = grocery.family() AND grocery.standing() IN (''admin'', ''member'', ''app'', ''api_key''))', t);
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE grocery.prices, grocery.stores;
