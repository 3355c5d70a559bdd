package ciba

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/postgres"
)

// exported is a request, as its person's copy of what we hold says it.
type exported struct {
	oidc.DecoupledRequest
	BindingMessage string     `json:"binding_message,omitempty"`
	State          string     `json:"state"` // pending, approved, denied or used
	AnsweredAt     *time.Time `json:"answered_at,omitempty"`
	ExpiresAt      time.Time  `json:"expires_at"`
}

// Export returns what clients have asked a person, for as long as it is kept.
func (s *Requests) Export(ctx context.Context, user id.ID) (any, error) {
	rows, err := s.DB.Query(ctx, selectAll, user)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one exported, err error) {
		return one, row.Scan(&one.DecoupledRequest, &one.BindingMessage, &one.State, &one.AnsweredAt, &one.ExpiresAt)
	})
	return all, postgres.Translate(err)
}
