package consent

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/revocation"
)

const (
	selectCovered = `
SELECT EXISTS (SELECT 1 FROM auth.consents
 WHERE user_id = $1 AND client_id = $2 AND scopes @> $3 AND resources @> $4)`

	upsertConsent = `
INSERT INTO auth.consents AS c (user_id, client_id, scopes, resources, granted_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_id, client_id) DO UPDATE SET granted_at = excluded.granted_at,
  scopes = ARRAY(SELECT unnest(c.scopes) UNION SELECT unnest(excluded.scopes) ORDER BY 1),
  resources = ARRAY(SELECT unnest(c.resources) UNION SELECT unnest(excluded.resources) ORDER BY 1)`

	// As in package account: whoever is about to make a grant holds a lock on the
	// person, and has made it before the next statements look, or sees the end.
	lockUser      = `SELECT id FROM auth.users WHERE id = $1 FOR UPDATE`
	deleteConsent = `DELETE FROM auth.consents WHERE user_id = $1 AND client_id = $2`

	revokeGrants = `
UPDATE auth.grants SET revoked_at = $3, revoked_reason = 'consent_withdrawn'
 WHERE user_id = $1 AND client_id = $2 AND revoked_at IS NULL RETURNING id`

	selectConsents = `
SELECT client_id, scopes, resources, granted_at FROM auth.consents WHERE user_id = $1 ORDER BY client_id LIMIT 200`
)

// Consents keeps what people agreed to in schema auth.
type Consents struct {
	DB  *pgxpool.Pool
	Now func() time.Time
}

// Consent is what a person lets a client do.
type Consent struct {
	ClientID  string
	Scopes    []string
	Resources []string
	GrantedAt time.Time
}

// Covered reports whether the person has agreed before to all of these scopes
// and resources for this client.
func (c *Consents) Covered(ctx context.Context, user id.ID, clientID string, scopes, resources []string) (bool, error) {
	var covered bool
	err := c.DB.QueryRow(ctx, selectCovered, user, clientID, list(scopes), list(resources)).Scan(&covered)
	return covered, postgres.Translate(err)
}

// Grant adds to what the person agreed to.
func (c *Consents) Grant(ctx context.Context, user id.ID, clientID string, scopes, resources []string) error {
	now := c.Now()
	return postgres.InTx(ctx, c.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, upsertConsent, user, clientID, list(scopes), list(resources), now); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: now, Action: "consent.granted", Result: audit.Success, Actor: audit.Person(user), ClientID: clientID,
			Details: map[string]any{"scopes": list(scopes), "resources": list(resources)},
		})
	})
}

// Withdraw forgets the consent and revokes every grant that the client has of
// this person, in one transaction, with the codes and approvals that the client has
// not redeemed yet.
func (c *Consents) Withdraw(ctx context.Context, user id.ID, clientID string) error {
	now := c.Now()
	return postgres.InTx(ctx, c.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockUser, user); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, deleteConsent, user, clientID); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, revokeGrants, user, clientID, now)
		if err != nil {
			return err
		}
		grants, err := pgx.CollectRows(rows, pgx.RowTo[id.ID])
		if err != nil {
			return err
		}
		if err := revocation.InsertGrants(ctx, tx, grants); err != nil {
			return err
		}
		if err := revocation.Insert(ctx, tx, revocation.Withdrawn, revocation.WithdrawnOf(user, clientID)); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: now, Action: "consent.withdrawn", Result: audit.Success, Actor: audit.Person(user), ClientID: clientID,
		})
	})
}

// List returns up to 200 consents of a person, by client.
func (c *Consents) List(ctx context.Context, user id.ID) ([]Consent, error) {
	rows, err := c.DB.Query(ctx, selectConsents, user)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Consent, error) {
		var one Consent
		return one, row.Scan(&one.ClientID, &one.Scopes, &one.Resources, &one.GrantedAt)
	})
	return all, postgres.Translate(err)
}

// list is never NULL, with which nothing compares.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
