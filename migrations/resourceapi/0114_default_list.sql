-- +goose Up
-- Where things go that are added without naming a list.
ALTER TABLE grocery.families ADD COLUMN default_list_id uuid;
ALTER TABLE grocery.families ADD CONSTRAINT families_default_list FOREIGN KEY (id, default_list_id) REFERENCES grocery.lists (family_id, id)
  ON DELETE SET NULL (default_list_id);
GRANT UPDATE (default_list_id) ON grocery.families TO larder_grocery;

-- +goose Down
ALTER TABLE grocery.families DROP COLUMN default_list_id;
