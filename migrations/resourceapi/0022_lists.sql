-- +goose Up
-- assignee: whose turn it is; nobody's once he has left the family.
ALTER TABLE grocery.lists
  ADD COLUMN due_on   date,
  ADD COLUMN assignee text,
  ADD COLUMN template boolean NOT NULL DEFAULT false,
  ADD CONSTRAINT lists_assignee FOREIGN KEY (family_id, assignee) REFERENCES grocery.family_members ON DELETE SET NULL (assignee);
CREATE INDEX lists_assignee ON grocery.lists (family_id, assignee) WHERE assignee IS NOT NULL;
GRANT UPDATE (due_on, assignee, template) ON grocery.lists TO larder_grocery;

-- +goose Down
ALTER TABLE grocery.lists DROP COLUMN due_on, DROP COLUMN assignee, DROP COLUMN template;
