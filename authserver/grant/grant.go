package grant

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/revocation"
)

const (
	selectGrants = `
SELECT id, client_id, user_id, sid, scopes, resources, authorization_details, dpop_jkt <> '', salt IS NOT NULL,
       created_at, rotated_at, least(idle_expires_at, expires_at)
  FROM auth.grants
 WHERE revoked_at IS NULL AND expires_at > $1 AND idle_expires_at > $1 AND id < $2`
	ofUser   = ` AND user_id = $4`
	ofClient = ` AND client_id = $4`
	ofBoth   = ` AND user_id = $4 AND client_id = $5`
	inOrder  = ` ORDER BY id DESC LIMIT $3`

	revokeGrant = `
UPDATE auth.grants SET revoked_at = $2, revoked_reason = 'operator' WHERE id = $1 AND revoked_at IS NULL RETURNING client_id, user_id::text`

	maxPage = 200
)

// Grant is what a person gave a client once (Grant Management for OAuth 2.0).
type Grant struct {
	ID         id.ID                      `json:"id"`
	ClientID   string                     `json:"client_id"`
	UserID     id.ID                      `json:"user_id"`
	SID        string                     `json:"sid"` // of the browser session or device that it came from
	Scopes     []string                   `json:"scopes"`
	Resources  []string                   `json:"resources"`
	Details    []oidc.AuthorizationDetail `json:"authorization_details,omitempty"`
	Bound      bool                       `json:"dpop_bound"`    // its refresh tokens are bound to a key
	Refresh    bool                       `json:"refresh_token"` // it has refresh tokens
	CreatedAt  time.Time                  `json:"created_at"`
	LastUsedAt *time.Time                 `json:"last_used_at,omitempty"` // when it was refreshed last
	ExpiresAt  time.Time                  `json:"expires_at"`             // unless it is refreshed before
}

// DB is a pool.
type DB interface {
	postgres.Beginner
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Grants looks at grants and ends them. Fill in the fields.
type Grants struct {
	DB  DB
	Now func() time.Time
}

// Filter narrows a list down; zero fields do not.
type Filter struct {
	UserID   id.ID
	ClientID string
}

// List returns up to limit grants in force (200 at most), the newest first, that
// are older than the one with the id before; zero begins with the newest.
func (g *Grants) List(ctx context.Context, f Filter, before id.ID, limit int) ([]Grant, error) {
	if before.IsZero() {
		before = id.ID{0: 0xff} // after every UUIDv7
	}
	sql, args := selectGrants, []any{g.Now(), before, min(max(limit, 1), maxPage)}
	switch {
	case !f.UserID.IsZero() && f.ClientID != "":
		sql, args = sql+ofBoth, append(args, f.UserID, f.ClientID)
	case !f.UserID.IsZero():
		sql, args = sql+ofUser, append(args, f.UserID)
	case f.ClientID != "":
		sql, args = sql+ofClient, append(args, f.ClientID)
	}
	rows, err := g.DB.Query(ctx, sql+inOrder, args...)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one Grant, err error) {
		return one, row.Scan(&one.ID, &one.ClientID, &one.UserID, &one.SID, &one.Scopes, &one.Resources, &one.Details, &one.Bound, &one.Refresh,
			&one.CreatedAt, &one.LastUsedAt, &one.ExpiresAt)
	})
	return all, postgres.Translate(err)
}

// Revoke ends a grant. One that is not there, or has ended, is fault.NotFound.
func (g *Grants) Revoke(ctx context.Context, grant id.ID, by audit.Actor) error {
	now := g.Now()
	err := postgres.InTx(ctx, g.DB, func(tx pgx.Tx) error {
		var client, user string
		if err := tx.QueryRow(ctx, revokeGrant, grant, now).Scan(&client, &user); err != nil {
			return err
		}
		if err := revocation.Insert(ctx, tx, revocation.Grant, grant.String()); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: now, Action: "grant.revoked", Result: audit.Success, Actor: by, ClientID: client, Target: grant.String(),
			Details: map[string]any{"user": user},
		})
	})
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "There is no such grant in force.")
	}
	return err
}
