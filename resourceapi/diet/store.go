package diet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectDiets = `SELECT user_id, avoid FROM grocery.diets WHERE family_id = $1 ORDER BY user_id LIMIT 500`

	selectChildBoxes = `SELECT id, box FROM grocery.children WHERE family_id = $1 ORDER BY id LIMIT 100`

	selectDiet = `SELECT avoid, version, updated_at FROM grocery.diets WHERE family_id = $1 AND user_id = $2`

	lockDiet = selectDiet + ` FOR UPDATE`

	insertDiet = `INSERT INTO grocery.diets (family_id, user_id, avoid) VALUES ($1, $2, $3) RETURNING version, updated_at`

	updateDiet = `
UPDATE grocery.diets SET avoid = $3, version = version + 1, updated_at = now() WHERE family_id = $1 AND user_id = $2
RETURNING version, updated_at`

	deleteDiet = `DELETE FROM grocery.diets WHERE family_id = $1 AND user_id = $2`

	selectOpen = `
SELECT id, concat_ws(' , ', name, note, category) FROM grocery.items
 WHERE family_id = $1 AND list_id = $2 AND checked_at IS NULL ORDER BY position, id LIMIT 2000`
)

func place(family id.ID, user string) string {
	return "grocery.diets/avoid/" + family.String() + "/" + user
}

// open opens what lies sealed at the place: a secret, or one of a child.
func (h *Diets) open(place string, box []byte) (s childSecret, err error) {
	plain, err := h.Keys.Open(place, box)
	if err != nil {
		return s, fmt.Errorf("%s: %w", place, err)
	}
	return s, json.Unmarshal(plain, &s)
}

// own is what lies in the family of the caller: his box, and what the admins
// keep of him.
type own struct {
	box  []byte
	kept *boxed
}

// queueOwn queues the reading of the caller's own; d stays as it is without a
// box.
func queueOwn(tx *tenant.Tx, sql string, d *Diet) *own {
	o := &own{}
	tx.Queue(sql, tx.Family, tx.Caller.Subject).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&o.box, &d.Version, &d.UpdatedAt); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	tenant.Maybe(tx, &o.kept, (*boxed).scan, selectKept, tx.Family, tx.Caller.Subject)
	return o
}

// openKept puts into d what the admins keep of the caller.
func (h *Diets) openKept(family id.ID, o *own, d *Diet) error {
	if o.kept == nil {
		return nil
	}
	c, err := h.openChild(family, o.kept)
	if err == nil {
		d.KeptByAdmins = &secret{c.Avoid, c.Also}
	}
	return err
}

// Own returns the caller's own diet.
func (h *Diets) Own(ctx context.Context, family id.ID) (any, error) { return h.selectOwn(ctx, family) }

func (h *Diets) selectOwn(ctx context.Context, family id.ID) (*Diet, error) {
	d := &Diet{Avoid: []string{}, Also: []string{}}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		o := queueOwn(tx, selectDiet, d)
		if err := tx.SendFor(ctx, policy.DietKeep); err != nil {
			return err
		}
		if err := h.openKept(family, o, d); err != nil || d.Version == 0 {
			return err
		}
		s, err := h.open(place(family, tx.Caller.Subject), o.box)
		d.Avoid, d.Also = append(d.Avoid, s.Avoid...), append(d.Also, s.Also...)
		return err
	})
	return d, err
}

// change is for the person's own eyes: neither the feed of others nor a webhook
// tells of it.
func change(tx *tenant.Tx, version int64) tenant.Change {
	return tenant.Change{Event: "diet.changed", PrivateTo: tx.Caller.Subject, Entity: tx.Caller.Subject, Version: version}
}

func (h *Diets) replace(ctx context.Context, family id.ID, s secret, guard func(version int64) error) (*Diet, error) {
	d := &Diet{}
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		o := queueOwn(tx, lockDiet, d)
		if err := tx.SendFor(ctx, policy.DietKeep); err != nil {
			return err
		}
		if err := h.openKept(family, o, d); err != nil {
			return err
		}
		if err := guard(d.Version); err != nil {
			return err
		}
		plain, err := json.Marshal(s)
		if err != nil {
			return err
		}
		sql := insertDiet
		if d.Version > 0 {
			sql = updateDiet
		}
		version := d.Version + 1
		tx.Row(func(row pgx.Row) error { return row.Scan(&d.Version, &d.UpdatedAt) },
			sql, family, tx.Caller.Subject, h.Keys.Seal(place(family, tx.Caller.Subject), plain))
		tx.Record(ctx, change(tx, version))
		return nil
	})
	d.Avoid, d.Also = append([]string{}, s.Avoid...), append([]string{}, s.Also...)
	return d, err
}

func (h *Diets) delete(ctx context.Context, family id.ID, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var there Diet
		queueOwn(tx, lockDiet, &there)
		if err := tx.SendFor(ctx, policy.DietKeep); err != nil {
			return err
		}
		if err := guard(there.Version); err != nil {
			return err
		}
		tx.Queue(deleteDiet, family, tx.Caller.Subject)
		tx.Record(ctx, change(tx, 0))
		return nil
	})
}

type openItem struct {
	id   id.ID
	text string
}

// queueBoxes queues the reading of all the boxes of the family, by their places.
func queueBoxes(tx *tenant.Tx) map[string][]byte {
	boxes := map[string][]byte{}
	tx.Queue(selectDiets, tx.Family).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var user string
			var box []byte
			if err := rows.Scan(&user, &box); err != nil {
				return err
			}
			boxes[place(tx.Family, user)] = box
		}
		return rows.Err()
	})
	tx.Queue(selectChildBoxes, tx.Family).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var child id.ID
			var box []byte
			if err := rows.Scan(&child, &box); err != nil {
				return err
			}
			boxes[childPlace(tx.Family, child)] = box
		}
		return rows.Err()
	})
	return boxes
}

func (i *openItem) scan(row pgx.Row) error { return row.Scan(&i.id, &i.text) }

// selectWarnings puts what all the people of the family avoid into one set,
// which no longer says whose it is, and looks for it on the list.
func (h *Diets) selectWarnings(ctx context.Context, family, list id.ID) ([]Warning, error) {
	var items []openItem
	avoid, also := map[string]bool{}, map[string]bool{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		facts, boxes := tx.List(list), queueBoxes(tx)
		tenant.Rows(tx, &items, (*openItem).scan, selectOpen, family, list)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ListRead, facts.Resource()); err != nil {
			return err
		}
		if !tx.IsUser() { // the database shows it no box, and an empty answer would look like safety
			return fault.New(fault.Forbidden, "What people avoid is for people to see.").WithCode("people_only")
		}
		for at, box := range boxes {
			s, err := h.open(at, box)
			if err != nil {
				return err
			}
			for _, a := range s.Avoid {
				avoid[a] = true
			}
			for _, word := range s.Also {
				also[word] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return match(items, slices.Sorted(maps.Keys(avoid)), slices.Sorted(maps.Keys(also))), nil
}

func match(items []openItem, avoid, also []string) []Warning {
	found := []Warning{}
	warn := func(i openItem, what string) {
		found = append(found, Warning{ItemID: i.id, Avoid: what, Text: "contains " + what + ": avoid"})
	}
	for _, i := range items {
		for _, a := range avoid {
			if contains(i.text, a) {
				warn(i, a)
			}
		}
		for _, phrase := range also {
			if mentions(i.text, phrase) && !slices.Contains(avoid, phrase) {
				warn(i, phrase)
			}
		}
	}
	return found
}
