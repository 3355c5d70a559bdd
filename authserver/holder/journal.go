package holder

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	// Again: whoever is in it already waits anew.
	insertErasure = `
INSERT INTO auth.erasures (user_id, erased_at, waiting) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET waiting = excluded.waiting`

	selectErasures = `SELECT user_id, erased_at, waiting FROM auth.erasures WHERE erased_at >= $1 ORDER BY erased_at, user_id`

	acknowledge = `UPDATE auth.erasures SET waiting = array_remove(waiting, $2) WHERE user_id = $1`

	// A restored account goes with the next sweep, as any that is due.
	deleteNow = `UPDATE auth.users SET delete_at = least(delete_at, $2), updated_at = $2 WHERE id = $1`
)

// Holder is an API that holds data of people.
type Holder struct {
	Resource string // its resource indicator, which tokens name
	Address  string // where we reach it, without a trailing slash
}

// Erasure is an entry of the journal.
type Erasure struct {
	UserID   id.ID     `json:"user_id"`
	ErasedAt time.Time `json:"erased_at"`
	Waiting  []string  `json:"waiting"` // APIs that have not confirmed it
}

// Queue takes jobs in; jobs.Queue does.
type Queue interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// Journal remembers who was erased and sees to it that the holders forget them.
type Journal struct {
	DB      *pgxpool.Pool
	Jobs    Queue
	Holders []Holder
	Now     func() time.Time
}

// Leaving is told of an account that is about to be deleted, in the transaction
// that deletes it.
func (j *Journal) Leaving(ctx context.Context, tx pgx.Tx, user id.ID) error {
	return j.begin(ctx, tx, Erasure{UserID: user, ErasedAt: j.Now()})
}

func (j *Journal) begin(ctx context.Context, tx pgx.Tx, e Erasure) error {
	waiting := make([]string, 0, len(j.Holders))
	for _, h := range j.Holders {
		waiting = append(waiting, h.Resource)
		if err := j.Jobs.Insert(ctx, tx, Args{UserID: e.UserID, Resource: h.Resource}); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, insertErasure, e.UserID, e.ErasedAt, waiting)
	return postgres.Translate(err)
}

// List returns the erasures since a time, the oldest first.
func (j *Journal) List(ctx context.Context, since time.Time) ([]Erasure, error) {
	rows, err := j.DB.Query(ctx, selectErasures, since)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Erasure])
	return all, postgres.Translate(err)
}

// Replay erases everybody in the entries once more: an account that a restore
// brought back is deleted with the next sweep, and the holders are asked to
// forget all of them. It returns how many accounts were back.
func (j *Journal) Replay(ctx context.Context, by audit.Actor, entries []Erasure) (back int, err error) {
	for _, e := range entries {
		err := postgres.InTx(ctx, j.DB, func(tx pgx.Tx) error {
			now := j.Now()
			tag, err := tx.Exec(ctx, deleteNow, e.UserID, now)
			if err != nil {
				return err
			}
			back += int(tag.RowsAffected())
			if err := j.begin(ctx, tx, e); err != nil {
				return err
			}
			return audit.Auth().Insert(ctx, tx, audit.Event{
				OccurredAt: now, Action: "user.erasure_replayed", Result: audit.Success, Actor: by, Target: e.UserID.String(),
			})
		})
		if err != nil {
			return back, err
		}
	}
	return back, nil
}
