package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/revocation"
	"larder/internal/risk"
)

// grant is what a person gave a client once (Grant Management for OAuth 2.0):
// a row of auth.grants and, where there are refresh tokens, their whole family.
type grant struct {
	ID            id.ID
	ClientID      string
	UserID        id.ID
	SID           string // the browser session it came from
	Scopes        []string
	Resources     []string                   // resource indicators; none means the issuer itself
	Details       []oidc.AuthorizationDetail // nil for no limit beyond the scopes
	Session       grantSession
	JKT           string // of the key that its refresh tokens are bound to, "" for none (RFC 9449 §5)
	X5T           string // likewise of the certificate (RFC 8705 §4)
	Generation    int32  // of the newest refresh token
	Salt          []byte
	PreviousSalt  []byte
	RotatedAt     time.Time // zero before the first rotation
	AskedAt       time.Time // when the code was made that this comes of
	CreatedAt     time.Time
	IdleExpiresAt time.Time
	ExpiresAt     time.Time
	RevokedAt     time.Time // zero while in force
}

// grantSession is how the person had signed in and what was asked about them,
// as every token of the grant repeats it.
type grantSession struct {
	AuthTime time.Time  `json:"auth_time"`
	ACR      string     `json:"acr,omitempty"`
	AMR      []string   `json:"amr,omitempty"`
	Risk     risk.Level `json:"risk,omitempty"`
	Claims   claimNames `json:"claims,omitzero"`
}

// grantStore keeps grants in Postgres.
type grantStore struct {
	db          *pgxpool.Pool
	keys        interface{ MACKeys(purpose string) [][]byte }
	revocations *revocation.Set
	cfg         Config
	now         func() time.Time
	rotations   rotations
}

// Whoever is about to write a grant waits for whoever just takes back what the
// person gave (packages account and consent) or ends the session, and keeps the
// next one of these waiting until it is written. What follows sees what they did.
const (
	lockGiver   = `SELECT pg_advisory_xact_lock_shared(hashtextextended('session ' || $2, 0)) FROM auth.users WHERE id = $1 FOR KEY SHARE`
	lockSession = `SELECT pg_advisory_xact_lock(hashtextextended('session ' || $1, 0))`
)

// A grant of a disabled person is not written, nor one of whom the client has no
// consent by now; $17 says that it needs none. One that was revoked before it
// came to be, because its code was replayed meanwhile, is born revoked.
const insertGrant = `
INSERT INTO auth.grants (id, code_hash, client_id, user_id, sid, scopes, resources, session, salt,
                         created_at, idle_expires_at, expires_at, dpop_jkt, certificate_x5t, authorization_details, revoked_at, revoked_reason)
SELECT $1, $2, $3, u.id, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, r.revoked_at, CASE WHEN r.revoked_at IS NOT NULL THEN 'code_replayed' END
  FROM auth.users u LEFT JOIN auth.revocations r ON r.kind = 'grant_id' AND r.value = $1::uuid::text
 WHERE u.id = $4 AND u.disabled_at IS NULL
   AND ($17 OR EXISTS (SELECT FROM auth.consents c WHERE c.user_id = $4 AND c.client_id = $3))
   AND NOT EXISTS (
   SELECT FROM auth.revocations over
    WHERE (over.kind, over.value) IN (('sid', $5), ('sub', $4::uuid::text), ('client_id', $3), ('withdrawn', $4::uuid::text || ' ' || $3))
      AND over.revoked_at >= $16)`

// A grant of a client that wants to hear of the session's end is written
// together with its part in the session. A browser session lives for less than
// 31 days.
const insertParticipant = `
WITH made AS (` + insertGrant + ` RETURNING sid, client_id, user_id)
INSERT INTO auth.session_clients (sid, client_id, user_id, expires_at) SELECT sid, client_id, user_id, now() + interval '31 days' FROM made
ON CONFLICT (sid, client_id) DO UPDATE SET expires_at = excluded.expires_at`

// errGrantRefused says that the person may not be acted for any more, or not
// upon what was said before the session, the consent, the account's access or the
// client ended.
var errGrantRefused = errors.New("the account is closed, the session was ended, or the consent withdrawn")

// errCodeSpent says that a grant was made from this code before.
var errCodeSpent = errors.New("the code has made a grant before")

// create writes a new grant. codeHash is unique for all time: it is the
// durable second check that a code is spent once, should Redis forget.
func (s *grantStore) create(ctx context.Context, g *grant, codeHash []byte, client *oidc.Client) error {
	statement := insertGrant
	if client.HearsOfLogout() {
		statement = insertParticipant
	}
	var written int64
	b := &pgx.Batch{} // one round trip, and one transaction
	b.Queue(lockGiver, g.UserID, g.SID)
	b.Queue(statement, g.ID, codeHash, g.ClientID, g.UserID, g.SID, g.Scopes, g.Resources, g.Session, g.Salt,
		g.CreatedAt, g.IdleExpiresAt, g.ExpiresAt, g.JKT, g.X5T, detailsColumn(g.Details), g.AskedAt, client.Metadata.FirstParty).
		Exec(func(tag pgconn.CommandTag) error { written = tag.RowsAffected(); return nil })
	switch err := postgres.Translate(s.db.SendBatch(ctx, b).Close()); {
	case fault.Is(err, fault.Conflict):
		return errCodeSpent
	case err != nil:
		return err
	case written == 0:
		return errGrantRefused
	}
	return nil
}

// detailsColumn is NULL, and not the JSON null, for none.
func detailsColumn(details []oidc.AuthorizationDetail) any {
	if details == nil {
		return nil
	}
	return details
}

const selectGrant = `
SELECT id, client_id, user_id, sid, scopes, resources, authorization_details, session, dpop_jkt, certificate_x5t, generation, salt, previous_salt, rotated_at,
       created_at, idle_expires_at, expires_at, revoked_at
  FROM auth.grants WHERE id = $1`

// find returns the grant that a refresh token belongs to and whether the token
// may still be used: it is the newest of its family or, within the grace, the
// one before, and the grant is in force. A string that we never made is
// fault.NotFound and costs no query.
func (s *grantStore) find(ctx context.Context, refreshToken string) (g *grant, active bool, err error) {
	t, ok := readRefreshToken(refreshToken, s.keys.MACKeys(refreshPurpose))
	if !ok {
		return nil, false, fault.New(fault.NotFound, "There is no such refresh token.")
	}
	rows, err := s.db.Query(ctx, selectGrant, t.grantID)
	if err != nil {
		return nil, false, postgres.Translate(err)
	}
	g, err = pgx.CollectExactlyOneRow(rows, scanGrant)
	if err != nil {
		return nil, false, postgres.Translate(err)
	}
	return g, s.usable(g, t), nil
}

func (s *grantStore) usable(g *grant, t refreshToken) bool {
	now := s.now()
	if !g.RevokedAt.IsZero() || !now.Before(g.ExpiresAt) || !now.Before(g.IdleExpiresAt) {
		return false
	}
	newest := t.generation == g.Generation && t.hasSalt(g.Salt)
	previous := t.generation+1 == g.Generation && t.hasSalt(g.PreviousSalt) && now.Sub(g.RotatedAt) < s.cfg.RefreshGrace
	return newest || previous
}

func scanGrant(row pgx.CollectableRow) (*grant, error) {
	var g grant
	var rotatedAt, revokedAt *time.Time
	err := row.Scan(&g.ID, &g.ClientID, &g.UserID, &g.SID, &g.Scopes, &g.Resources, &g.Details, &g.Session, &g.JKT, &g.X5T, &g.Generation, &g.Salt,
		&g.PreviousSalt, &rotatedAt, &g.CreatedAt, &g.IdleExpiresAt, &g.ExpiresAt, &revokedAt)
	if rotatedAt != nil {
		g.RotatedAt = *rotatedAt
	}
	if revokedAt != nil {
		g.RevokedAt = *revokedAt
	}
	return &g, err
}

// One statement ends the grant and tells the resource servers. It tells them
// too when there is no such grant (yet), see replayed.
const revokeGrant = `
WITH dead AS (
  UPDATE auth.grants SET revoked_at = coalesce(revoked_at, $2), revoked_reason = coalesce(revoked_reason, $3)
   WHERE id = $1 RETURNING 1),
told AS (
  INSERT INTO auth.revocations (kind, value, expires_at) VALUES ('grant_id', $1::uuid::text, $4)
  ON CONFLICT (kind, value) DO UPDATE SET revoked_at = clock_timestamp(), expires_at = greatest(revocations.expires_at, excluded.expires_at)
  RETURNING revoked_at)
SELECT (SELECT count(*) FROM dead) > 0, told.revoked_at FROM told`

// revoke ends a grant with its whole refresh token family, and with it the
// access tokens that came from it. It reports whether there is such a grant.
func (s *grantStore) revoke(ctx context.Context, grantID id.ID, reason string) (found bool, err error) {
	expires := s.revocationExpiry()
	var at time.Time
	if err := s.db.QueryRow(ctx, revokeGrant, grantID, s.now(), reason, expires).Scan(&found, &at); err != nil {
		return false, postgres.Translate(err)
	}
	s.tell(revocation.Grant, grantID.String(), at, expires)
	return found, nil
}

const (
	replayAttempts = 10
	replayPause    = 50 * time.Millisecond
)

// replayed ends the grant of a code that came twice. The first redemption may
// be just about to write its grant, so an absent one is looked for again: what
// begins after the first attempt is born revoked, what began before it is
// found by a later one.
func (s *grantStore) replayed(ctx context.Context, grantID id.ID) error {
	for attempt := 1; ; attempt++ {
		found, err := s.revoke(ctx, grantID, "code_replayed")
		if err != nil || found || attempt == replayAttempts {
			return err
		}
		select {
		case <-time.After(replayPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A grant with offline_access outlives the browser session that it came from
// (OpenID Connect Core §11); every other ends with it.
const revokeSession = `
WITH dead AS (
  UPDATE auth.grants SET revoked_at = $2, revoked_reason = $3
   WHERE sid = $1 AND revoked_at IS NULL AND NOT 'offline_access' = ANY (scopes) RETURNING 1)
INSERT INTO auth.revocations (kind, value, expires_at)
SELECT 'sid', $1::text, $4 FROM (SELECT count(*) FROM dead) AS all_of_them
ON CONFLICT (kind, value) DO UPDATE SET revoked_at = clock_timestamp(), expires_at = greatest(revocations.expires_at, excluded.expires_at)
RETURNING revoked_at`

// revocationExpiry is when every access token that exists now is over.
func (s *grantStore) revocationExpiry() time.Time {
	return s.now().Add(s.cfg.AccessTokenLifespan + clockLeeway)
}

// tell makes a revocation felt in this process at once; the other replicas read
// it from the table.
func (s *grantStore) tell(kind, value string, at, expires time.Time) {
	s.revocations.Add(s.now(), revocation.Entry{Kind: kind, Value: value, RevokedAt: at, ExpiresAt: expires})
}
