package pantry

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectStocks = `
SELECT id, name, quantity::float8, unit, category, minimum::float8, list_id, version, created_by, created_at, updated_at
  FROM grocery.pantry WHERE family_id = $1 ORDER BY lower(name), id LIMIT 500`

	selectStock = `
SELECT id, name, quantity::float8, unit, category, minimum::float8, list_id, version, created_by, created_at, updated_at
  FROM grocery.pantry WHERE family_id = $1 AND id = $2`

	lockStock = selectStock + ` FOR UPDATE`

	countStocks = `SELECT count(*) FROM grocery.pantry WHERE family_id = $1`

	insertStock = `
INSERT INTO grocery.pantry (family_id, id, name, quantity, unit, category, minimum, list_id, created_by)
VALUES ($1, $2, $3, $4::float8, $5, $6, $7::float8, $8, $9)
RETURNING id, name, quantity::float8, unit, category, minimum::float8, list_id, version, created_by, created_at, updated_at`

	updateStock = `
UPDATE grocery.pantry
   SET name = $3, quantity = $4::float8, unit = $5, category = $6, minimum = $7::float8, list_id = $8, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, name, quantity::float8, unit, category, minimum::float8, list_id, version, created_by, created_at, updated_at`

	deleteStock = `DELETE FROM grocery.pantry WHERE family_id = $1 AND id = $2`
)

func (s *Stock) scan(row pgx.Row) error {
	return row.Scan(&s.ID, &s.Name, &s.Quantity, &s.Unit, &s.Category, &s.Minimum, &s.ListID, &s.Version, &s.CreatedBy, &s.CreatedAt, &s.UpdatedAt)
}

func queueStocks(tx *tenant.Tx, all *[]Stock, sql string, args ...any) {
	tx.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var s Stock
			if err := s.scan(rows); err != nil {
				return err
			}
			*all = append(*all, s)
		}
		return rows.Err()
	})
}

func (h *Pantry) selectAll(ctx context.Context, family id.ID) ([]Stock, error) {
	stocks := []Stock{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		queueStocks(tx, &stocks, selectStocks, family)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.KitchenRead, tx.FamilyResource())
	})
	return stocks, err
}

func (h *Pantry) selectOne(ctx context.Context, family, stock id.ID) (*Stock, error) {
	var s Stock
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(s.scan, selectStock, family, stock)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.KitchenRead, tx.FamilyResource())
	})
	return &s, err
}

func (h *Pantry) insert(ctx context.Context, family id.ID, d *Stock) (*Stock, error) {
	var s Stock
	return &s, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var (
			there []Stock
			count int
		)
		queueStocks(tx, &there, selectStock, family, d.ID)
		tx.Row(func(row pgx.Row) error { return row.Scan(&count) }, countStocks, family)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		switch {
		case len(there) > 0 && (there[0].Name != d.Name || there[0].CreatedBy != tx.Principal()):
			return fault.New(fault.Conflict, "Something with this name or id exists already.").WithCode("id_taken")
		case len(there) > 0:
			s = there[0]
			return nil
		case count >= maxStocks:
			return fault.New(fault.Conflict, "The pantry is full. Remove something first.").WithCode("too_many")
		}
		if err := h.feed(ctx, tx, d, 0); err != nil {
			return err
		}
		tx.Row(s.scan, insertStock, family, d.ID, d.Name, d.Quantity, d.Unit, d.Category, d.Minimum, d.ListID, tx.Principal())
		tx.Record(ctx, tenant.Change{Event: "pantry.added", Entity: d.ID.String(), Version: 1})
		return nil
	})
}

func (h *Pantry) update(ctx context.Context, family, stock id.ID, apply func(*Stock) error) (*Stock, error) {
	var s Stock
	return &s, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(s.scan, lockStock, family, stock)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		before := s.missing()
		if err := apply(&s); err != nil {
			return err
		}
		if err := h.feed(ctx, tx, &s, before); err != nil {
			return err
		}
		version := s.Version + 1
		tx.Row(s.scan, updateStock, family, stock, s.Name, s.Quantity, s.Unit, s.Category, s.Minimum, s.ListID)
		tx.Record(ctx, tenant.Change{Event: "pantry.updated", Entity: stock.String(), Version: version})
		return nil
	})
}

// feed puts on the list what is missing now and was not before. An archived
// list takes nothing, and that is no reason not to count what is in the house.
func (h *Pantry) feed(ctx context.Context, tx *tenant.Tx, s *Stock, before float64) error {
	if s.ListID == nil {
		return nil
	}
	facts := tx.List(*s.ListID)
	if err := tx.Send(ctx); err != nil {
		return err
	}
	if facts.Kind != policy.Shared {
		var f valid.Form
		f.Fault("/list_id", "must be a shared list")
		return f.Err()
	}
	more := math.Round((s.missing()-before)*1000) / 1000
	if more <= 0 || facts.ArchivedAt != nil {
		return nil
	}
	if err := tx.May(ctx, policy.ItemAdd, facts.Item()); err != nil {
		return err
	}
	_, err := h.Items.Put(ctx, tx, facts, []shopping.Thing{{Name: s.Name, Quantity: &more, Unit: s.Unit, Category: s.Category}})
	return err
}

func (h *Pantry) delete(ctx context.Context, family, stock id.ID, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var s Stock
		tx.Row(s.scan, lockStock, family, stock)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		if err := guard(s.Version); err != nil {
			return err
		}
		tx.Queue(deleteStock, family, stock)
		tx.Record(ctx, tenant.Change{Event: "pantry.removed", Entity: stock.String()})
		return nil
	})
}
