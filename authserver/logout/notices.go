package logout

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	takeSession = `DELETE FROM auth.session_clients WHERE sid = $1 RETURNING sid, client_id, user_id`
	takeUser    = `DELETE FROM auth.session_clients WHERE user_id = $1 RETURNING sid, client_id, user_id`
)

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// Notices turns the end of a session into jobs.
type Notices struct {
	DB   *pgxpool.Pool
	Jobs Jobs
}

// SessionEnded has the clients of a session told, once tx has committed, and
// returns who they are. Of several calls for one session one finds them.
func (n *Notices) SessionEnded(ctx context.Context, tx pgx.Tx, sid string) (clients []string, err error) {
	return n.take(ctx, tx, takeSession, sid)
}

// UserEnded has the clients of every session of a person told.
func (n *Notices) UserEnded(ctx context.Context, user id.ID) error {
	return postgres.InTx(ctx, n.DB, func(tx pgx.Tx) error {
		_, err := n.take(ctx, tx, takeUser, user)
		return err
	})
}

func (n *Notices) take(ctx context.Context, tx pgx.Tx, statement string, arg any) ([]string, error) {
	rows, err := tx.Query(ctx, statement, arg)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (args Args, err error) {
		return args, row.Scan(&args.SID, &args.ClientID, &args.Subject)
	})
	if err != nil {
		return nil, err
	}
	clients := make([]string, 0, len(all))
	for _, args := range all {
		clients = append(clients, args.ClientID)
		if err := n.Jobs.Insert(ctx, tx, args); err != nil {
			return nil, err
		}
	}
	return clients, nil
}
