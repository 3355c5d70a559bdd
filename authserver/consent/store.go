package consent

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
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

	// Whoever ends the session or all that the person is signed in to waits for
	// these, as for a grant that is being written (package oauth).
	lockGiver    = `SELECT pg_advisory_xact_lock_shared(hashtextextended('session ' || $2, 0)) FROM auth.users WHERE id = $1 FOR KEY SHARE`
	selectStands = `
SELECT EXISTS (SELECT FROM auth.users WHERE id = $1 AND disabled_at IS NULL) AND NOT EXISTS (
  SELECT FROM auth.revocations
   WHERE (kind = 'sid' AND value = $2) OR (kind = 'sub' AND value = $1::uuid::text AND revoked_at >= $3))`

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

// Grant adds to what the person agreed to, together with approve, which records the
// answer that it is for: the answer counts once the consent is kept, and what fails
// before that leaves neither. After that the person may press the button again. It is
// fault.Unauthenticated once the session has ended, and until then nobody ends it
// or the account's access.
func (c *Consents) Grant(ctx context.Context, a oidc.Agreement, approve oidc.Approve) error {
	now, user := c.Now(), a.Login.Subject
	var settle func(context.Context) error
	err := postgres.InTx(ctx, c.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockGiver, user, a.Login.SID); err != nil {
			return err
		}
		var stands bool
		if err := tx.QueryRow(ctx, selectStands, user, a.Login.SID, a.Seen).Scan(&stands); err != nil {
			return err
		}
		if !stands {
			return fault.New(fault.Unauthenticated, "You are not signed in any more.")
		}
		if _, err := tx.Exec(ctx, upsertConsent, user, a.ClientID, list(a.Scopes), list(a.Resources), now); err != nil {
			return err
		}
		err := audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: now, Action: "consent.granted", Result: audit.Success, Actor: audit.Person(user), ClientID: a.ClientID,
			Details: map[string]any{"scopes": list(a.Scopes), "resources": list(a.Resources)},
		})
		if err != nil {
			return err
		}
		settle, err = approve(ctx, tx)
		return err
	})
	if err != nil || settle == nil {
		return err
	}
	return settle(context.WithoutCancel(ctx))
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
