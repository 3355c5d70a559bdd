-- +goose Up
-- What the admins of a family keep of its children: a name and what is to be
-- avoided, sealed together. user_id: the account of a child that has one; the
-- record goes when that leaves the family. People of the family may carry the
-- boxes about, to warn of what is on a list; only the service opens them.
CREATE TABLE grocery.children (
  family_id  uuid NOT NULL REFERENCES grocery.families ON DELETE CASCADE,
  id         uuid NOT NULL,
  user_id    text,
  box        bytea NOT NULL,
  version    bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (family_id, id),
  UNIQUE (family_id, user_id),
  FOREIGN KEY (family_id, user_id) REFERENCES grocery.family_members ON DELETE CASCADE
);
GRANT UPDATE (user_id, box, version, updated_at) ON grocery.children TO larder_grocery;
ALTER TABLE grocery.children ENABLE ROW LEVEL SECURITY;
ALTER TABLE grocery.children FORCE ROW LEVEL SECURITY;
CREATE POLICY child_read ON grocery.children FOR SELECT
  USING (family_id = grocery.family() AND grocery.standing() IN ('admin', 'member', 'guest'));
CREATE POLICY child_write ON grocery.children FOR INSERT
  WITH CHECK (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY child_change ON grocery.children FOR UPDATE
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');
CREATE POLICY child_remove ON grocery.children FOR DELETE
  USING (family_id = grocery.family() AND grocery.standing() = 'admin');

-- +goose Down
DROP TABLE grocery.children;
