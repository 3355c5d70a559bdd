-- +goose Up
-- What is in the house. Where it falls below its minimum, what is missing goes
-- on the list.
CREATE TABLE grocery.pantry (
  family_id  uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  id         uuid NOT NULL,
  name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  quantity   numeric(12, 3) NOT NULL CHECK (quantity >= 0),
  unit       text NOT NULL CHECK (char_length(unit) <= 32),
  category   text NOT NULL CHECK (char_length(category) <= 64),
  minimum    numeric(12, 3) CHECK (minimum > 0),
  list_id    uuid,
  version    bigint NOT NULL DEFAULT 1,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id),
  FOREIGN KEY (family_id, list_id) REFERENCES grocery.lists ON DELETE SET NULL (list_id)
);
CREATE INDEX pantry_list ON grocery.pantry (family_id, list_id) WHERE list_id IS NOT NULL;
GRANT UPDATE (name, quantity, unit, category, minimum, list_id, version, updated_at) ON grocery.pantry TO larder_grocery;

-- ingredients: [{"name", "quantity", "unit", "note", "category"}], for so many servings.
CREATE TABLE grocery.recipes (
  family_id   uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  id          uuid NOT NULL,
  name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  servings    integer NOT NULL CHECK (servings BETWEEN 1 AND 1000),
  method      text NOT NULL CHECK (char_length(method) <= 20000),
  ingredients jsonb NOT NULL,
  version     bigint NOT NULL DEFAULT 1,
  created_by  text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id)
);
GRANT UPDATE (name, servings, method, ingredients, version, updated_at) ON grocery.recipes TO larder_grocery;

-- +goose StatementBegin
DO $$ DECLARE t text; BEGIN
  FOREACH t IN ARRAY ARRAY['pantry', 'recipes'] LOOP
    EXECUTE format('ALTER TABLE grocery.%I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE grocery.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY kitchen_reach ON grocery.%I USING (family_id = grocery.family() AND grocery.standing() IN (''admin'', ''member'', ''app'', ''api_key''))', t);
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE grocery.recipes, grocery.pantry;
