package invite

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"larder/resourceapi/tenant"
)

const (
	sweepBatch = 200

	deleteOver = `
DELETE FROM grocery.invitations WHERE (family_id, id) IN (
  SELECT family_id, id FROM grocery.invitations WHERE expires_at < now() ORDER BY expires_at LIMIT $1)`
)

// SweepOver forgets some invitations that are over, with whom they were mailed
// to, and reports whether there are more.
func (m *Mails) SweepOver(ctx context.Context) (gone int64, more bool, err error) {
	err = m.DB.Postman(ctx, func(tx *tenant.Tx) error {
		tx.Queue(deleteOver, sweepBatch).Exec(func(tag pgconn.CommandTag) error {
			gone = tag.RowsAffected()
			return nil
		})
		return tx.Send(ctx)
	})
	return gone, gone == sweepBatch, err
}
