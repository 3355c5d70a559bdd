package account

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/useragent"
)

const fewSignIns = 10

// SignIn is one that worked, or was tried, lately.
type SignIn struct {
	At        time.Time
	Succeeded bool
	Device    string // such as "Firefox on Windows"
	Address   string // IP address, "" when unknown
	Place     string // such as "Lyon, France", "" when unknown
	// SID is the session that it began, "" when that is not known.
	SID string
}

// SignIns returns the last ten sign-ins to an account, newest first.
func (a *Accounts) SignIns(ctx context.Context, user id.ID) ([]SignIn, error) {
	rows, err := a.DB.Query(ctx, selectSignIns, user.String(), fewSignIns, user)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (SignIn, error) {
		var one SignIn
		var agent string
		err := row.Scan(&one.At, &one.Succeeded, &agent, &one.Address, &one.SID)
		one.Device = useragent.Describe(agent)
		return one, err
	})
	return all, postgres.Translate(err)
}
