package tenant

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
)

const (
	setEraser = `
SELECT set_config('app.principal', 'system:eraser', true), set_config('app.user', $1, true), set_config('app.family', coalesce($2::uuid::text, ''), true),
       set_config('app.standing', CASE WHEN $2::uuid IS NULL THEN '' ELSE 'admin' END, true)`

	selectTraces = `
SELECT family_id FROM grocery.family_members WHERE user_id = $1 UNION SELECT family_id FROM grocery.footprints WHERE user_id = $1 ORDER BY 1`
)

func eraser() *bearer.Caller { return &bearer.Caller{Kind: "system", Subject: "eraser"} }

// EraserTraces returns the families that a person is or was in.
func (db *DB) EraserTraces(ctx context.Context, person string) ([]id.ID, error) {
	tx := &Tx{db: db, Caller: eraser(), source: SourceFrom(ctx), batch: &pgx.Batch{}, standing: standing(policy.Admin)}
	tx.Queue(setEraser, person, id.ID{})
	var families []id.ID
	tx.Queue(selectTraces, person).Query(func(rows pgx.Rows) (err error) {
		families, err = pgx.CollectRows(rows, pgx.RowTo[id.ID])
		return err
	})
	return families, tx.Send(ctx)
}

// Eraser calls f with a transaction that writes in the name of the service and
// reaches what an admin of the family reaches, and the person's own. No policy
// is asked: the identity provider says that the account is gone.
func (db *DB) Eraser(ctx context.Context, family id.ID, person string, f func(tx *Tx) error) error {
	tx := &Tx{db: db, Caller: eraser(), Family: family, source: SourceFrom(ctx), batch: &pgx.Batch{}, standing: standing(policy.Admin), asked: true}
	return tx.write(ctx, func() { tx.Queue(setEraser, person, family) }, f)
}
