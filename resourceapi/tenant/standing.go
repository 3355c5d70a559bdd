package tenant

import (
	"encoding/hex"

	"github.com/jackc/pgx/v5"

	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
)

// standing is what the caller is to the family, in the words that the policies
// of the database know. Two of them are on the way in.
type standing string

const (
	nobody  standing = ""
	founder standing = "founder"
	joiner  standing = "joiner"
	asApp   standing = "app"
	asKey   standing = "api_key"
)

const (
	setPrincipal = `SELECT set_config('app.principal', $1, true), set_config('app.user', $2, true)`

	// enterAsUser and enterAsApp enter the family by the caller's own row. What
	// a user's entry does stands in the database, because every request makes it.
	enterAsUser = `SELECT coalesce(role, ''), grants, coalesce(zone, ''), rules, coalesce(mark, '') FROM grocery.enter_ruled($1, $2, $3)`

	enterAsApp = `
SELECT scopes, set_config('app.family', family_id::text, true), set_config('app.standing', 'app', true)
  FROM grocery.app_installations
 WHERE family_id = $1 AND client_id = $2`

	// A key says itself which family it is for: the issuer vouches for that.
	setKey     = `SELECT set_config('app.principal', $1, true), set_config('app.family', $2::uuid::text, true), set_config('app.standing', 'api_key', true)`
	enterAsKey = selectRules

	// selectRules reads what a family's rules are and puts their mark beside the
	// standing.
	selectRules = `
SELECT timezone, rules, set_config('app.rules', rules_version || ' ' || timezone, true) FROM grocery.families WHERE id = $1`

	setArrival = `
SELECT set_config('app.principal', $1, true), set_config('app.user', $2, true), set_config('app.family', $3::uuid::text, true),
       set_config('app.standing', $4, true), set_config('app.invitation', $5, true)`

	// A person's own key reaches one of their families, $2.
	mineAsUser = `
SELECT set_config('app.families', string_agg(family_id::text, ','), true)
  FROM grocery.family_members WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > now()) AND family_id = coalesce($2, family_id)`
	mineAsKey = `SELECT set_config('app.families', $1::uuid::text, true)`

	// An app sees the families that let it see them, and of very many the first.
	mineAsApp = `
SELECT set_config('app.families', string_agg(family_id::text, ','), true)
  FROM (SELECT family_id FROM grocery.app_installations WHERE client_id = $1 AND $2 = ANY (scopes) ORDER BY installed_at, family_id LIMIT 200) AS mine`
)

// Principal returns the caller as columns named …_by hold him: kind, colon, id.
func (tx *Tx) Principal() string { return string(kindOf(tx.Caller)) + ":" + nameOf(tx.Caller) }

// enter queues the caller's context and the proof of his standing.
func (tx *Tx) enter() {
	tx.enterFully()
	tx.narrow()
}

func (tx *Tx) enterFully() {
	c := tx.Caller
	tx.scopes = c.Scopes
	if !c.Family.IsZero() && c.Family != tx.Family {
		tx.queuePrincipal()
		return
	}
	switch kindOf(c) {
	case policy.User:
		tx.prove(func(row pgx.Row) error {
			err := tx.scanHouse(row, &tx.role, &tx.grants)
			tx.standing = standing(tx.role)
			return err
		}, enterAsUser, tx.Principal(), c.Subject, tx.Family)
	case policy.App:
		tx.queuePrincipal()
		tx.prove(func(row pgx.Row) error {
			var granted []string
			if err := row.Scan(&granted, nil, nil); err != nil {
				return err
			}
			tx.standing = asApp
			tx.scopes = within(c.Scopes, granted)
			return nil
		}, enterAsApp, tx.Family, c.ClientID)
		tx.queueHouse()
	case policy.APIKey:
		tx.batch.Queue(setKey, tx.Principal(), tx.Family)
		tx.prove(func(row pgx.Row) error {
			tx.standing = asKey
			return tx.scanHouse(row)
		}, enterAsKey, tx.Family)
	}
}

func (tx *Tx) queuePrincipal() {
	var user string
	if tx.IsUser() {
		user = tx.Caller.Subject
	}
	tx.batch.Queue(setPrincipal, tx.Principal(), user)
}

// Renew queues the proof of the caller's standing once more, behind a lock that
// may have been waited for while somebody else took that standing away.
func (tx *Tx) Renew() { tx.enter() }

// prove queues a query whose row gives the caller his standing. That there is
// none is no error yet: the queries behind it then see nothing.
func (tx *Tx) prove(scan func(pgx.Row) error, sql string, args ...any) {
	tx.batch.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		tx.standing, tx.role = nobody, policy.None
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// arrive queues the context of somebody who is not in the family yet.
func (tx *Tx) arrive(as standing, tokenHash []byte) {
	tx.standing, tx.scopes = as, tx.Caller.Scopes
	tx.batch.Queue(setArrival, tx.Principal(), tx.Caller.Subject, tx.Family, string(as), hex.EncodeToString(tokenHash))
}

func (tx *Tx) queueMine() {
	tx.standing, tx.scopes = "mine", tx.Caller.Scopes
	tx.queuePrincipal()
	switch kindOf(tx.Caller) {
	case policy.User:
		tx.batch.Queue(mineAsUser, tx.Caller.Subject, tx.Caller.Family)
	case policy.APIKey:
		tx.batch.Queue(mineAsKey, tx.Caller.Family)
	case policy.App:
		tx.batch.Queue(mineAsApp, tx.Caller.ClientID, policy.ScopeFamilyRead)
	}
}

func kindOf(c *bearer.Caller) policy.Kind { return policy.Kind(c.Kind) }

func nameOf(c *bearer.Caller) string {
	if kindOf(c) == policy.App {
		return c.ClientID
	}
	return c.Subject
}

// Role returns the caller's role in the family, "" for an app or key.
func (tx *Tx) Role() string { return string(tx.role) }

// Inside reports whether the caller has a standing in the family, whatever the
// policy would let him do.
func (tx *Tx) Inside() bool { return tx.standing != nobody }

// IsUser reports whether a person calls.
func (tx *Tx) IsUser() bool { return kindOf(tx.Caller) == policy.User }
