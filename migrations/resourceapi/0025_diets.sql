-- +goose Up
-- What a person wants avoided, sealed. People of the family may carry the boxes
-- about, to warn of what is on a list; only the service opens them.
CREATE TABLE grocery.diets (
  family_id  uuid NOT NULL,
  user_id    text NOT NULL,
  avoid      bytea NOT NULL,
  version    bigint NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, user_id),
  FOREIGN KEY (family_id, user_id) REFERENCES grocery.family_members ON DELETE CASCADE
);
GRANT UPDATE (avoid, version, updated_at) ON grocery.diets TO larder_grocery;
ALTER TABLE grocery.diets ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.diets FORCE ROW LEVEL SECURITY;
CREATE POLICY diet_read ON grocery.diets FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'member', 'guest'));
CREATE POLICY diet_write ON grocery.diets FOR INSERT
  WITH CHECK (family_id = grocery.family() AND user_id = grocery.me() AND grocery.standing() IN ('admin', 'member', 'guest'));
CREATE POLICY diet_change ON grocery.diets FOR UPDATE
  USING (family_id = grocery.family() AND user_id = grocery.me());
CREATE POLICY diet_remove ON grocery.diets FOR DELETE
  USING (family_id = grocery.family() AND user_id = grocery.me());

-- +goose Down
DROP TABLE grocery.diets;
