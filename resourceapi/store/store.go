package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectStores = `
SELECT id, name, aisles, only_aisles, version, created_by, created_at, updated_at
  FROM grocery.stores WHERE family_id = $1 ORDER BY lower(name), id LIMIT 50`

	selectStore = `
SELECT id, name, aisles, only_aisles, version, created_by, created_at, updated_at
  FROM grocery.stores WHERE family_id = $1 AND id = $2`

	lockStore = selectStore + ` FOR UPDATE`

	countStores = `SELECT count(*) FROM grocery.stores WHERE family_id = $1`

	insertStore = `
INSERT INTO grocery.stores (family_id, id, name, aisles, aisle_keys, only_aisles, created_by)
VALUES ($1, $2, $3, $4::text[], ARRAY(SELECT lower(a) FROM unnest($4::text[]) WITH ORDINALITY u(a, n) ORDER BY n), $5, $6)
RETURNING id, name, aisles, only_aisles, version, created_by, created_at, updated_at`

	updateStore = `
UPDATE grocery.stores
   SET name = $3, aisles = $4::text[], aisle_keys = ARRAY(SELECT lower(a) FROM unnest($4::text[]) WITH ORDINALITY u(a, n) ORDER BY n),
       only_aisles = $5, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, name, aisles, only_aisles, version, created_by, created_at, updated_at`

	deleteStore = `DELETE FROM grocery.stores WHERE family_id = $1 AND id = $2`
)

func (s *Store) scan(row pgx.Row) error {
	return row.Scan(&s.ID, &s.Name, &s.Aisles, &s.OnlyAisles, &s.Version, &s.CreatedBy, &s.CreatedAt, &s.UpdatedAt)
}

func (h *Stores) selectAll(ctx context.Context, family id.ID) ([]Store, error) {
	stores := []Store{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		queueStores(tx, &stores, selectStores, family)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.KitchenRead, tx.FamilyResource())
	})
	return stores, err
}

func queueStores(tx *tenant.Tx, stores *[]Store, sql string, args ...any) {
	tx.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var s Store
			if err := s.scan(rows); err != nil {
				return err
			}
			*stores = append(*stores, s)
		}
		return rows.Err()
	})
}

func (h *Stores) selectOne(ctx context.Context, family, store id.ID) (*Store, error) {
	var s Store
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(s.scan, selectStore, family, store)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.KitchenRead, tx.FamilyResource())
	})
	return &s, err
}

func (h *Stores) insert(ctx context.Context, family id.ID, d draft) (*Store, error) {
	var s Store
	return &s, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var (
			there []Store
			count int
		)
		queueStores(tx, &there, selectStore, family, d.ID)
		tx.Row(func(row pgx.Row) error { return row.Scan(&count) }, countStores, family)
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
		case count >= maxStores:
			return fault.New(fault.Conflict, "The family has too many stores. Delete some first.").WithCode("too_many")
		}
		tx.Row(s.scan, insertStore, family, d.ID, d.Name, d.Aisles, d.OnlyAisles, tx.Principal())
		tx.Record(ctx, tenant.Change{Event: "store.created", Entity: d.ID.String(), Version: 1})
		return nil
	})
}

func (h *Stores) update(ctx context.Context, family, store id.ID, apply func(*Store) error) (*Store, error) {
	var s Store
	return &s, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(s.scan, lockStore, family, store)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		if err := apply(&s); err != nil {
			return err
		}
		version := s.Version + 1
		tx.Row(s.scan, updateStore, family, store, s.Name, s.Aisles, s.OnlyAisles)
		tx.Record(ctx, tenant.Change{Event: "store.updated", Entity: store.String(), Version: version})
		return nil
	})
}

func (h *Stores) delete(ctx context.Context, family, store id.ID, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var s Store
		tx.Row(s.scan, lockStore, family, store)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		if err := guard(s.Version); err != nil {
			return err
		}
		tx.Queue(deleteStore, family, store)
		tx.Record(ctx, tenant.Change{Event: "store.deleted", Entity: store.String()})
		return nil
	})
}
