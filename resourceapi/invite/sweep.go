package invite

import (
	"context"
	"log/slog"
	"time"

	"larder/resourceapi/tenant"
)

const (
	sweepEvery = time.Hour
	sweepBatch = 200

	deleteOver = `
DELETE FROM grocery.invitations WHERE (family_id, id) IN (
  SELECT family_id, id FROM grocery.invitations WHERE expires_at < now() ORDER BY expires_at LIMIT $1)`
)

// Sweep forgets invitations that are over, each hour until ctx is done. Every
// replica does: what one deletes the others no longer find.
func (m *Mails) Sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := m.SweepOver(ctx); err != nil && ctx.Err() == nil {
			m.Log.LogAttrs(ctx, slog.LevelWarn, "invitations that are over were not deleted", slog.String("error", err.Error()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// SweepOver forgets invitations that are over, with whom they were mailed to,
// once.
func (m *Mails) SweepOver(ctx context.Context) error {
	for more := true; more; {
		err := m.DB.Postman(ctx, func(tx *tenant.Tx) (err error) {
			more, err = tx.Exec(ctx, deleteOver, sweepBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
