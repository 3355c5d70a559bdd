package diet

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	// Of two who add the twentieth at once both do: what is read has room for more.
	selectChildren = `
SELECT id, user_id, box, version, created_at, updated_at
  FROM grocery.children WHERE family_id = $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY created_at, id LIMIT 100`

	selectChild = `SELECT id, user_id, box, version, created_at, updated_at FROM grocery.children WHERE family_id = $1 AND id = $2`

	lockChild = selectChild + ` FOR UPDATE`

	// selectKept is what the admins keep of the caller.
	selectKept = `SELECT id, user_id, box, version, created_at, updated_at FROM grocery.children WHERE family_id = $1 AND user_id = $2`

	// countChildren also says what a child's account is to the family.
	countChildren = `
SELECT (SELECT count(*) FROM grocery.children WHERE family_id = $1),
       coalesce((SELECT role FROM grocery.family_members WHERE family_id = $1 AND user_id = $2), '')`

	insertChild = `
INSERT INTO grocery.children (family_id, id, user_id, box) VALUES ($1, $2, $3, $4)
RETURNING version, created_at, updated_at`

	updateChild = `
UPDATE grocery.children SET user_id = $3, box = $4, version = version + 1, updated_at = now() WHERE family_id = $1 AND id = $2
RETURNING version, created_at, updated_at`

	deleteChild = `DELETE FROM grocery.children WHERE family_id = $1 AND id = $2`
)

// childSecret is what lies in the box of a child.
type childSecret struct {
	Name string `json:"name"`
	secret
}

// boxed is a row, its box not opened.
type boxed struct {
	Child
	box []byte
}

func (b *boxed) scan(row pgx.Row) error {
	return row.Scan(&b.ID, &b.UserID, &b.box, &b.Version, &b.CreatedAt, &b.UpdatedAt)
}

func childPlace(family, child id.ID) string {
	return "grocery.children/box/" + family.String() + "/" + child.String()
}

func (h *Diets) openChild(family id.ID, b *boxed) (*Child, error) {
	s, err := h.open(childPlace(family, b.ID), b.box)
	c := b.Child
	c.Name, c.Avoid, c.Also = s.Name, append([]string{}, s.Avoid...), append([]string{}, s.Also...)
	return &c, err
}

func (h *Diets) sealChild(family id.ID, c *Child) ([]byte, error) {
	plain, err := json.Marshal(childSecret{c.Name, secret{c.Avoid, c.Also}})
	return h.Keys.Seal(childPlace(family, c.ID), plain), err
}

// childChanged is for nobody's feed: who follows the family learns nothing of
// its children. The audit log has it.
func childChanged(tx *tenant.Tx, event string, child id.ID, version int64) tenant.Change {
	return tenant.Change{Event: event, PrivateTo: tx.Caller.Subject, Entity: child.String(), Version: version}
}

// Children returns all that is kept of children, to a person who may see it;
// to any other, nothing.
func (h *Diets) Children(ctx context.Context, family id.ID) (any, error) {
	all := []Child{}
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		found := queueChildren(tx, id.ID{})
		if err := tx.SendFor(ctx, policy.DietKeep); err != nil || !tx.Can(ctx, policy.ChildKeep, tx.FamilyResource()) {
			return err
		}
		return h.reveal(ctx, tx, *found, &all)
	})
	return all, err
}

// selectChildren reads all children, or the one.
func (h *Diets) selectChildren(ctx context.Context, family, only id.ID) ([]Child, error) {
	all := []Child{}
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		found := queueChildren(tx, only)
		if err := tx.SendFor(ctx, policy.ChildKeep); err != nil {
			return err
		}
		return h.reveal(ctx, tx, *found, &all)
	})
	return all, err
}

func queueChildren(tx *tenant.Tx, only id.ID) *[]boxed {
	found := new([]boxed)
	tenant.Rows(tx, found, (*boxed).scan, selectChildren, tx.Family, only)
	return found
}

// reveal opens the boxes, and has the audit log keep who looked.
func (h *Diets) reveal(ctx context.Context, tx *tenant.Tx, found []boxed, all *[]Child) error {
	for i := range found {
		c, err := h.openChild(tx.Family, &found[i])
		if err != nil {
			return err
		}
		*all = append(*all, *c)
		tx.Saw(ctx, "child.seen", c.ID)
	}
	return nil
}

// checkAccount holds that a child's account is one of the family, and no
// admin's: of him nobody else keeps a record.
func checkAccount(c *Child, role string) error {
	var f valid.Form
	if c.UserID != nil && role != string(policy.Member) && role != string(policy.Guest) {
		f.Fault("/user_id", "must be a member or guest of the family")
	}
	return f.Err()
}

func (h *Diets) insertChild(ctx context.Context, family id.ID, made *Child) (*Child, error) {
	return made, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var (
			there *boxed
			count int
			role  string
		)
		tenant.Maybe(tx, &there, (*boxed).scan, selectChild, family, made.ID)
		tx.Row(func(row pgx.Row) error { return row.Scan(&count, &role) }, countChildren, family, made.UserID)
		if err := tx.SendFor(ctx, policy.ChildKeep); err != nil {
			return err
		}
		if there != nil { // the answer to the first attempt may have been lost
			return h.same(family, there, made)
		}
		if count >= maxChildren {
			return fault.New(fault.Conflict, "The family has too many children here. Remove some first.").WithCode("too_many")
		}
		if err := checkAccount(made, role); err != nil {
			return err
		}
		box, err := h.sealChild(family, made)
		if err != nil {
			return err
		}
		tx.Row(made.scan, insertChild, family, made.ID, made.UserID, box)
		tx.Record(ctx, childChanged(tx, "child.added", made.ID, 1))
		return nil
	})
}

// same makes of the draft what is there, if that has its name.
func (h *Diets) same(family id.ID, there *boxed, made *Child) error {
	c, err := h.openChild(family, there)
	if err != nil {
		return err
	}
	if c.Name != made.Name {
		return fault.New(fault.Conflict, "Something with this name or id exists already.").WithCode("id_taken")
	}
	*made = *c
	return nil
}

func (c *Child) scan(row pgx.Row) error { return row.Scan(&c.Version, &c.CreatedAt, &c.UpdatedAt) }

func (h *Diets) updateChild(ctx context.Context, family, child id.ID, change childChange, guard func(version int64) error) (*Child, error) {
	var c *Child
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var there *boxed
		var role string
		tenant.Maybe(tx, &there, (*boxed).scan, lockChild, family, child)
		tx.Row(func(row pgx.Row) error { return row.Scan(nil, &role) }, countChildren, family, change.UserID.Value)
		if err := tx.SendFor(ctx, policy.ChildKeep); err != nil {
			return err
		}
		if there == nil {
			return noSuchChild()
		}
		if err := guard(there.Version); err != nil {
			return err
		}
		var err error
		if c, err = h.openChild(family, there); err != nil {
			return err
		}
		if err := change.apply(c); err != nil {
			return err
		}
		if change.UserID.Value != nil {
			if err := checkAccount(c, role); err != nil {
				return err
			}
		}
		box, err := h.sealChild(family, c)
		if err != nil {
			return err
		}
		version := c.Version + 1
		tx.Row(c.scan, updateChild, family, child, c.UserID, box)
		tx.Record(ctx, childChanged(tx, "child.changed", child, version))
		return nil
	})
	return c, err
}

func (h *Diets) deleteChild(ctx context.Context, family, child id.ID, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var there *boxed
		tenant.Maybe(tx, &there, (*boxed).scan, lockChild, family, child)
		if err := tx.SendFor(ctx, policy.ChildKeep); err != nil {
			return err
		}
		if there == nil {
			return noSuchChild()
		}
		if err := guard(there.Version); err != nil {
			return err
		}
		tx.Queue(deleteChild, family, child)
		tx.Record(ctx, childChanged(tx, "child.removed", child, 0))
		return nil
	})
}
