package item

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// selectDefault finds the family's default list, or the first one, of those that
// the caller sees and that take things.
const selectDefault = `
SELECT l.id FROM grocery.lists l JOIN grocery.families f ON f.id = l.family_id
 WHERE l.family_id = $1 AND l.kind = 'shared' AND l.archived_at IS NULL AND NOT l.template
 ORDER BY (l.id = f.default_list_id) IS TRUE DESC, l.position, l.id LIMIT 1`

// selectDefault returns where things go that name no list.
func (h *Items) selectDefault(ctx context.Context, family id.ID) (list id.ID, err error) {
	return list, h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Queue(selectDefault, family).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&list); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		if err := tx.SendFor(ctx, policy.ListList); err != nil {
			return err
		}
		if list.IsZero() {
			return fault.New(fault.Conflict, "There is no list to put it on. Make one first.").WithCode("no_list")
		}
		return nil
	})
}
