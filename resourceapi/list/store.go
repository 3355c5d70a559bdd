package list

import (
	"context"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectLists = `
SELECT id, family_id, kind, name, owner, created_by, position, version, due_on::text, assignee, template, archived_at, created_at, updated_at
  FROM grocery.lists WHERE family_id = $1 AND (position, id) > ($2, $3) ORDER BY position, id LIMIT $4`

	selectList = `
SELECT id, family_id, kind, name, owner, created_by, position, version, due_on::text, assignee, template, archived_at, created_at, updated_at
  FROM grocery.lists WHERE family_id = $1 AND id = $2`

	lockList = selectList + ` FOR UPDATE`

	// selectEnd tells how many lists there are and where the last one lies.
	selectEnd = `SELECT count(*), coalesce(max(position), 0) FROM grocery.lists WHERE family_id = $1`

	insertList = `
INSERT INTO grocery.lists (family_id, id, kind, name, owner, created_by, position, due_on, assignee, template)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::date, $9, $10)
RETURNING id, family_id, kind, name, owner, created_by, position, version, due_on::text, assignee, template, archived_at, created_at, updated_at`

	updateList = `
UPDATE grocery.lists
   SET name = $3, position = $4, archived_at = $5, due_on = $6::text::date, assignee = $7, template = $8, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, family_id, kind, name, owner, created_by, position, version, due_on::text, assignee, template, archived_at, created_at, updated_at`

	copyItems = `
INSERT INTO grocery.items (family_id, list_id, id, private_to, name, quantity, unit, note, category, barcode, photo, position, added_by)
SELECT $1, $2, gen_random_uuid(), $4, name, quantity, unit, note, category, barcode, photo, position, $5
  FROM grocery.items WHERE family_id = $1 AND list_id = $3
 ORDER BY lower(regexp_replace(normalize(name), '\s+', ' ', 'g')) COLLATE "C", id`

	// selectVersions is read behind the lock on the list, with which nothing more
	// comes to be on it.
	selectVersions = `SELECT id, version FROM grocery.items WHERE family_id = $1 AND list_id = $2`

	deleteList = `DELETE FROM grocery.lists WHERE family_id = $1 AND id = $2`

	gap = 1024 // between neighbours, so that there is room to move one in between
)

// place is where a page begins: after the list at this position.
type place struct {
	Position float64 `json:"p"`
	ID       id.ID   `json:"i"`
}

// start lies before every list; the nil UUID would be NULL to the database.
func start() place { return place{-math.MaxFloat64, id.ID{15: 1}} }

func (l *List) scan(row pgx.Row) error {
	return row.Scan(&l.ID, &l.FamilyID, &l.Kind, &l.Name, &l.Owner, &l.CreatedBy, &l.Position, &l.Version,
		&l.DueOn, &l.Assignee, &l.Template, &l.ArchivedAt, &l.CreatedAt, &l.UpdatedAt)
}

func (h *Lists) selectPage(ctx context.Context, family id.ID, after place, limit int) ([]List, error) {
	lists := []List{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &lists, (*List).scan, selectLists, family, after.Position, after.ID, limit)
		if err := tx.SendFor(ctx, policy.ListList); err != nil {
			return err
		}
		for i := range lists {
			l := &lists[i]
			l.Permissions = permitted(ctx, tx, tx.Seen(l.ID, l.Kind, l.Owner, l.CreatedBy))
		}
		return nil
	})
	return lists, err
}

func (h *Lists) selectOne(ctx context.Context, family, list id.ID) (*List, error) {
	var l List
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		facts := tx.List(list)
		tx.Row(l.scan, selectList, family, list)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ListRead, facts.Resource()); err != nil {
			return err
		}
		l.Permissions = permitted(ctx, tx, facts)
		return nil
	})
	return &l, err
}

// permitted lists what the caller may do on the list and to what is on it.
func permitted(ctx context.Context, tx *tenant.Tx, l *tenant.List) []string {
	return slices.Concat(
		tx.Permitted(ctx, l.Resource(), policy.ListRead, policy.ListUpdate, policy.ListDelete, policy.ListShare),
		tx.Permitted(ctx, l.Item(), policy.ItemAdd, policy.ItemEdit, policy.ItemCheck, policy.ItemRemove, policy.ItemReorder),
	)
}

func (h *Lists) insert(ctx context.Context, family id.ID, d draft) (*List, error) {
	var l List
	return &l, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var source *tenant.List
		if d.From != nil {
			source = tx.List(*d.From)
		}
		assigned := queueAssignee(tx, d.Assignee)
		there, count, last, err := h.look(ctx, tx, d.ID)
		if err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ListCreate, tx.NewList(d.Kind)); err != nil {
			return err
		}
		if source != nil {
			if err := tx.May(ctx, policy.ListRead, source.Resource()); err != nil {
				return err
			}
		}
		if err := assigned(d.Kind); err != nil {
			return err
		}
		if there != nil {
			if there.Name != d.Name || there.Kind != d.Kind || there.CreatedBy != tx.Principal() {
				return tenant.Taken()
			}
			l = *there
			l.Permissions = permitted(ctx, tx, tx.Seen(l.ID, l.Kind, l.Owner, l.CreatedBy))
			return nil
		}
		l.Permissions = permitted(ctx, tx, tx.Seen(d.ID, d.Kind, d.owner(tx), tx.Principal()))
		return d.queue(ctx, tx, count, last, &l)
	})
}

// owner is that of the list; nil for one that is the family's.
func (d *draft) owner(tx *tenant.Tx) *string {
	if d.Kind != policy.Personal {
		return nil
	}
	return &tx.Caller.Subject
}

// queue queues the draft behind the last of so many lists; once that is sent, it
// is what was made.
func (d *draft) queue(ctx context.Context, tx *tenant.Tx, count int, last float64, made *List) error {
	if count >= maxLists {
		return fault.New(fault.Conflict, "There are too many lists. Delete some first.").WithCode("too_many")
	}
	owner := d.owner(tx)
	tx.Row(made.scan, insertList, tx.Family, d.ID, d.Kind, d.Name, owner, tx.Principal(), last+gap, d.DueOn, d.Assignee, d.Template)
	c := tenant.Change{Event: "list.created", List: d.ID, Entity: d.ID.String(), Version: 1, Details: map[string]any{"kind": d.Kind}}
	if owner != nil {
		c.PrivateTo = *owner
	}
	tx.Record(ctx, c)
	if d.From != nil {
		tx.Queue(copyItems, tx.Family, d.ID, *d.From, owner, tx.Principal())
		c.Event, c.Details = "list.renumbered", nil // all its items are to be read
		tx.Record(ctx, c)
	}
	return nil
}

// queueAssignee queues the look who it is whose turn it is to be; what it
// returns says afterwards whether he may be.
func queueAssignee(tx *tenant.Tx, user *string) func(kind string) error {
	there := user == nil
	if user != nil {
		tx.Queue(selectRole, tx.Family, *user).Query(func(rows pgx.Rows) error {
			there = rows.Next()
			rows.Close()
			return rows.Err()
		})
	}
	return func(kind string) error {
		var f valid.Form
		switch {
		case !there:
			f.Fault("/assignee", "must be somebody of the family")
		case user != nil && kind == policy.Personal:
			f.Fault("/assignee", "is for shared lists")
		}
		return f.Err()
	}
}

// look reads the list of this id, if the caller can see one, and the end of
// the family's order.
func (h *Lists) look(ctx context.Context, tx *tenant.Tx, list id.ID) (there *List, count int, last float64, err error) {
	tenant.Maybe(tx, &there, (*List).scan, selectList, tx.Family, list)
	tx.Row(func(row pgx.Row) error { return row.Scan(&count, &last) }, selectEnd, tx.Family)
	return there, count, last, tx.Send(ctx)
}

func (h *Lists) update(ctx context.Context, family, list id.ID, assignee *string, apply func(*List) error) (*List, error) {
	var l List
	return &l, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		facts := tx.List(list)
		tx.Row(l.scan, lockList, family, list)
		assigned := queueAssignee(tx, assignee)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ListUpdate, facts.Resource()); err != nil {
			return err
		}
		if err := apply(&l); err != nil {
			return err
		}
		if err := assigned(l.Kind); err != nil {
			return err
		}
		l.Permissions = permitted(ctx, tx, facts)
		l.save(ctx, tx, facts.Owner)
		return nil
	})
}

// save queues what has become of the list; once that is sent, l is what is
// there.
func (l *List) save(ctx context.Context, tx *tenant.Tx, owner string) {
	change := tenant.Change{Event: "list.updated", List: l.ID, PrivateTo: owner, Entity: l.ID.String(), Version: l.Version + 1}
	tx.Row(l.scan, updateList, tx.Family, l.ID, l.Name, l.Position, l.ArchivedAt, l.DueOn, l.Assignee, l.Template)
	tx.Record(ctx, change)
}

func (h *Lists) delete(ctx context.Context, family, list id.ID, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var l List
		facts := tx.List(list)
		tx.Row(l.scan, lockList, family, list)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ListDelete, facts.Resource()); err != nil {
			return err
		}
		if err := guard(l.Version); err != nil {
			return err
		}
		l.drop(ctx, tx, facts.Owner)
		return nil
	})
}

func (l *List) drop(ctx context.Context, tx *tenant.Tx, owner string) {
	tx.Queue(deleteList, tx.Family, l.ID)
	tx.Record(ctx, tenant.Change{Event: "list.deleted", List: l.ID, PrivateTo: owner, Entity: l.ID.String()})
}
