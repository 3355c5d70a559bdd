-- +goose Up
-- What goes on a list again and again. next_on is a day where the family lives,
-- and next_at the moment at which it is due there.
CREATE TABLE grocery.recurring (
  family_id  uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  id         uuid NOT NULL,
  list_id    uuid NOT NULL,
  name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  quantity   numeric(12, 3) CHECK (quantity > 0),
  unit       text NOT NULL CHECK (char_length(unit) <= 32),
  note       text NOT NULL CHECK (char_length(note) <= 1000),
  category   text NOT NULL CHECK (char_length(category) <= 64),
  every      integer NOT NULL CHECK (every BETWEEN 1 AND 365),
  period     text NOT NULL CHECK (period IN ('day', 'week', 'month')),
  next_on    date NOT NULL,
  next_at    timestamptz NOT NULL,
  version    bigint NOT NULL DEFAULT 1,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id),
  FOREIGN KEY (family_id, list_id) REFERENCES grocery.lists ON DELETE CASCADE
);
CREATE INDEX recurring_list ON grocery.recurring (family_id, list_id);
-- The second index that does not begin with family_id: what is due, wherever.
CREATE INDEX recurring_due ON grocery.recurring (next_at);
GRANT UPDATE (list_id, name, quantity, unit, note, category, every, period, next_on, next_at, version, updated_at) ON grocery.recurring TO larder_grocery;

ALTER TABLE grocery.recurring ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.recurring FORCE ROW LEVEL SECURITY;
CREATE POLICY kitchen_reach ON grocery.recurring
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'member', 'app', 'api_key'));
-- The standing "clock" sees which families have something due, and enters them
-- one by one as an app of the family's own.
CREATE POLICY clock_looks ON grocery.recurring FOR SELECT
  USING (grocery.standing() = 'clock' AND grocery.family() IS NULL);

-- +goose Down
DROP TABLE grocery.recurring;
