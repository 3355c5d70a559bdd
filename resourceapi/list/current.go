package list

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const selectCurrent = `
SELECT id, family_id, kind, name, owner, created_by, position, version, due_on::text, assignee, template, archived_at, created_at, updated_at
  FROM grocery.lists WHERE family_id = $1 AND id = ANY ($2)`

// Current reads lists as the caller may see them; what is gone is not among
// them.
func (h *Lists) Current(ctx context.Context, family id.ID, lists []id.ID) (map[id.ID]any, error) {
	found := map[id.ID]any{}
	return found, h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Queue(selectCurrent, family, lists).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var l List
				if err := l.scan(rows); err != nil {
					return err
				}
				found[l.ID] = l
			}
			return rows.Err()
		})
		return tx.SendFor(ctx, policy.FeedRead)
	})
}
