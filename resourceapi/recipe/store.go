package recipe

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectRecipes = `
SELECT id, name, servings, '', '[]'::jsonb, version, created_by, created_at, updated_at
  FROM grocery.recipes WHERE family_id = $1 ORDER BY lower(name), id LIMIT 200`

	selectRecipe = `
SELECT id, name, servings, method, ingredients, version, created_by, created_at, updated_at
  FROM grocery.recipes WHERE family_id = $1 AND id = $2`

	lockRecipe = selectRecipe + ` FOR UPDATE`

	countRecipes = `SELECT count(*) FROM grocery.recipes WHERE family_id = $1`

	insertRecipe = `
INSERT INTO grocery.recipes (family_id, id, name, servings, method, ingredients, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING id, name, servings, method, ingredients, version, created_by, created_at, updated_at`

	updateRecipe = `
UPDATE grocery.recipes SET name = $3, servings = $4, method = $5, ingredients = $6, version = version + 1, updated_at = now()
 WHERE family_id = $1 AND id = $2
RETURNING id, name, servings, method, ingredients, version, created_by, created_at, updated_at`

	deleteRecipe = `DELETE FROM grocery.recipes WHERE family_id = $1 AND id = $2`
)

func (s *Recipe) scan(row pgx.Row) error {
	return row.Scan(&s.ID, &s.Name, &s.Servings, &s.Method, &s.Ingredients, &s.Version, &s.CreatedBy, &s.CreatedAt, &s.UpdatedAt)
}

func queueRecipes(tx *tenant.Tx, all *[]Recipe, sql string, args ...any) {
	tx.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var s Recipe
			if err := s.scan(rows); err != nil {
				return err
			}
			*all = append(*all, s)
		}
		return rows.Err()
	})
}

func (h *Recipes) selectAll(ctx context.Context, family id.ID) ([]Recipe, error) {
	recipes := []Recipe{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		queueRecipes(tx, &recipes, selectRecipes, family)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.KitchenRead, tx.FamilyResource())
	})
	return recipes, err
}

func (h *Recipes) selectOne(ctx context.Context, family, recipe id.ID) (*Recipe, error) {
	var s Recipe
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(s.scan, selectRecipe, family, recipe)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		return tx.May(ctx, policy.KitchenRead, tx.FamilyResource())
	})
	return &s, err
}

func (h *Recipes) insert(ctx context.Context, family id.ID, d *Recipe) (*Recipe, error) {
	var s Recipe
	return &s, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var (
			there []Recipe
			count int
		)
		queueRecipes(tx, &there, selectRecipe, family, d.ID)
		tx.Row(func(row pgx.Row) error { return row.Scan(&count) }, countRecipes, family)
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
		case count >= maxRecipes:
			return fault.New(fault.Conflict, "The family has too many recipes. Delete some first.").WithCode("too_many")
		}
		tx.Row(s.scan, insertRecipe, family, d.ID, d.Name, d.Servings, d.Method, d.Ingredients, tx.Principal())
		tx.Record(ctx, tenant.Change{Event: "recipe.created", Entity: d.ID.String(), Version: 1})
		return nil
	})
}

func (h *Recipes) update(ctx context.Context, family, recipe id.ID, apply func(*Recipe) error) (*Recipe, error) {
	var s Recipe
	return &s, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(s.scan, lockRecipe, family, recipe)
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
		tx.Row(s.scan, updateRecipe, family, recipe, s.Name, s.Servings, s.Method, s.Ingredients)
		tx.Record(ctx, tenant.Change{Event: "recipe.updated", Entity: recipe.String(), Version: version})
		return nil
	})
}

func (h *Recipes) putOnList(ctx context.Context, family, recipe id.ID, e errand) ([]id.ID, error) {
	items := []id.ID{}
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var s Recipe
		facts := tx.List(e.ListID)
		tx.Row(s.scan, selectRecipe, family, recipe)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenRead, tx.FamilyResource()); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.ItemAdd, facts.Item()); err != nil {
			return err
		}
		servings := s.Servings
		if e.Servings != nil {
			servings = *e.Servings
		}
		put, err := h.Items.Put(ctx, tx, facts, s.scaled(servings))
		items = append(items, put...)
		return err
	})
	return items, err
}

func (h *Recipes) delete(ctx context.Context, family, recipe id.ID, guard func(version int64) error) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var s Recipe
		tx.Row(s.scan, lockRecipe, family, recipe)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
		if err := guard(s.Version); err != nil {
			return err
		}
		tx.Queue(deleteRecipe, family, recipe)
		tx.Record(ctx, tenant.Change{Event: "recipe.deleted", Entity: recipe.String()})
		return nil
	})
}
