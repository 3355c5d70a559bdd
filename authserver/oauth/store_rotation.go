package oauth

import (
	"context"
	"time"

	"larder/internal/fault"
	"larder/internal/postgres"
	"larder/internal/revocation"
)

// outcome is what became of a refresh token.
type outcome string

const (
	rotationDone     outcome = "rotated"  // it was the newest, and has a successor now
	rotationRepeated outcome = "repeated" // it was used within the grace, and its successor is given again
	rotationReused   outcome = "reused"   // it was used before that: the family is dead
	rotationScope    outcome = "scope"    // it asks for more scope than the grant has; nothing changed
	rotationTarget   outcome = "target"   // likewise for resources
	rotationRefused  outcome = "refused"  // revoked, expired, another client's, or its person is shut out
)

// rotation is the outcome, and the grant as it is now.
type rotation struct {
	outcome outcome
	grant   grant
}

// A rotation is decided in one statement, on a locked row, so that of any number
// of requests with one token one rotates and the others see that it did. A
// request that asks for too much rotates nothing, or its client would lose the
// token by a slip. The parameters of all that follows:
//
//	$1 grant  $2 generation  $3 salt  $4 client_id  $5 client needs no consent
//	$6 scopes  $7 resources  $8 new salt  $9 now  $10 new idle expiry
//	$11 key that the request proves  $12 keep the token as it is
//	$13 certificate that the request shows
//	$14 used before this is reuse  $15 expiry of a revocation
//
// Without the right key or certificate a token is as unknown as another client's: who stole it
// can neither use it nor end the family.
const (
	grantAlive = `g.revoked_at IS NULL AND g.expires_at > $9 AND g.idle_expires_at > $9 AND g.client_id = $4
           AND g.dpop_jkt IN ('', $11) AND g.certificate_x5t IN ('', $13)`
	userWelcome = `u.disabled_at IS NULL AND ($5 OR EXISTS (
           SELECT FROM auth.consents c WHERE c.user_id = g.user_id AND c.client_id = g.client_id))`
	tokenNewest = `g.generation = $2 AND g.salt = $3`
	scopeWithin = `$6::text[] <@ g.scopes`
	allTargets  = `$7::text[] <@ g.resources`

	setSuccessor = `
     SET generation = CASE WHEN $12 THEN g.generation ELSE g.generation + 1 END,
         previous_salt = CASE WHEN $12 THEN g.previous_salt ELSE g.salt END, salt = CASE WHEN $12 THEN g.salt ELSE $8 END,
         rotated_at = CASE WHEN $12 THEN g.rotated_at ELSE $9 END, idle_expires_at = $10`
)

// rotateNewest is what nearly every refresh is: the newest token, and nothing
// amiss. It costs the database less than half of rotateGrant, which is left to
// find out what is when this touches no row.
const rotateNewest = `
UPDATE auth.grants g` + setSuccessor + `
  FROM auth.users u
 WHERE g.id = $1 AND u.id = g.user_id AND ` + tokenNewest + ` AND ` + grantAlive + ` AND ` + userWelcome + `
   AND ` + scopeWithin + ` AND ` + allTargets + `
RETURNING 'rotated', g.id, g.client_id, g.user_id, g.sid, g.scopes, g.resources, g.authorization_details, g.session, g.generation, g.salt, NULL::timestamptz`

// rotateGrant decides everything. It rotates too: between the two statements
// the world may have changed for the better.
const rotateGrant = `
WITH cur AS MATERIALIZED (
  SELECT g.id, g.client_id, g.user_id, g.sid, g.scopes, g.resources, g.authorization_details, g.session, g.generation, g.salt,
         ` + grantAlive + ` AS alive,
         ` + userWelcome + ` AS welcome,
         ` + scopeWithin + ` AS scope_ok, ` + allTargets + ` AS target_ok,
         ` + tokenNewest + ` AS newest,
         g.generation = $2 + 1 AND g.previous_salt = $3 AND g.rotated_at > $14 AS within_grace
    FROM auth.grants g JOIN auth.users u ON u.id = g.user_id
   WHERE g.id = $1 FOR UPDATE OF g),
rotated AS (
  UPDATE auth.grants g` + setSuccessor + `
    FROM cur
   WHERE g.id = cur.id AND cur.alive AND cur.welcome AND cur.newest AND cur.scope_ok AND cur.target_ok
  RETURNING g.generation, g.salt),
killed AS (
  UPDATE auth.grants g SET revoked_at = $9, revoked_reason = 'refresh_token_reused'
    FROM cur
   WHERE g.id = cur.id AND cur.alive AND cur.generation > $2 AND NOT cur.within_grace
  RETURNING g.id),
told AS (
  INSERT INTO auth.revocations (kind, value, expires_at) SELECT 'grant_id', id::text, $15 FROM killed
  ON CONFLICT (kind, value) DO UPDATE SET revoked_at = clock_timestamp(), expires_at = greatest(revocations.expires_at, excluded.expires_at)
  RETURNING revoked_at)
SELECT CASE
         WHEN EXISTS (SELECT FROM rotated) THEN 'rotated'
         WHEN EXISTS (SELECT FROM killed) THEN 'reused'
         WHEN NOT cur.alive OR NOT cur.welcome THEN 'refused'
         WHEN NOT cur.newest AND NOT coalesce(cur.within_grace, false) THEN 'refused'
         WHEN NOT cur.scope_ok THEN 'scope'
         WHEN NOT cur.target_ok THEN 'target'
         ELSE 'repeated'
       END,
       cur.id, cur.client_id, cur.user_id, cur.sid, cur.scopes, cur.resources, cur.authorization_details, cur.session,
       coalesce(rotated.generation, cur.generation), coalesce(rotated.salt, cur.salt), told.revoked_at
  FROM cur LEFT JOIN rotated ON true LEFT JOIN told ON true`

// rotate spends a refresh token of w's client. scopes are what the request asks
// for, empty for all. An error means that nothing is known to have happened;
// the token may be presented again. A client of the fapi2 profile keeps its
// token, which only it can use (FAPI 2.0 §5.3.2.1).
func (s *grantStore) rotate(ctx context.Context, t refreshToken, w *work, scopes []string) (*rotation, error) {
	one := &turn{token: t, work: w, scopes: scopes, salt: newSalt(), lead: make(chan []*turn, 1)}
	if turns := s.rotations.join(one); turns != nil {
		s.rotateAll(ctx, turns)
	}
	if one.rotated != nil || one.err != nil {
		return one.rotated, one.err
	}
	now := s.now()
	r, err := s.decide(ctx, rotateGrant, append(s.parameters(one, now), now.Add(-s.cfg.RefreshGrace), s.revocationExpiry()))
	if r == nil && err == nil {
		r = &rotation{outcome: rotationRefused}
	}
	return r, err
}

// parameters are $1 to $13.
func (s *grantStore) parameters(t *turn, now time.Time) []any {
	client := t.work.client
	return []any{
		t.token.grantID, t.token.generation, t.token.salt[:], client.ID, client.Metadata.FirstParty, textArray(t.scopes), textArray(t.work.resources), t.salt,
		now, now.Add(s.cfg.RefreshIdle), t.work.jkt, client.FAPI2(), t.work.refreshCertificate(),
	}
}

// decide runs rotateNewest or rotateGrant; nil without an error means that it
// found no row.
func (s *grantStore) decide(ctx context.Context, sql string, parameters []any) (*rotation, error) {
	var (
		r    rotation
		g    = &r.grant
		told *time.Time // when the database says that the family died
	)
	err := postgres.Translate(s.db.QueryRow(ctx, sql, parameters...).
		Scan(&r.outcome, &g.ID, &g.ClientID, &g.UserID, &g.SID, &g.Scopes, &g.Resources, &g.Details, &g.Session, &g.Generation, &g.Salt, &told))
	if fault.Is(err, fault.NotFound) {
		return nil, nil //nolint:nilnil // see above
	}
	if err != nil {
		return nil, err
	}
	if told != nil {
		s.tell(revocation.Grant, g.ID.String(), *told, s.revocationExpiry())
	}
	return &r, nil
}

// textArray is s as a parameter that is never NULL.
func textArray(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
