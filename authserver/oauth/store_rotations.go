package oauth

import (
	"context"
	"slices"
	"strings"
	"sync"

	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	// rotationsAtOnce is how many statements rotate at a time. Tokens that come
	// meanwhile wait for one of them to end and then go together.
	rotationsAtOnce = 3
	mostTogether    = 64
)

// rotateMany is rotateNewest for tokens that came together. It leaves out what
// is not the newest token or has something amiss, and also a row that somebody
// else has locked, so that for each row only those wait who want it. The columns
// are as the parameters of rotateNewest; lists are words with spaces between
// them.
const rotateMany = `
WITH t AS MATERIALIZED (
  SELECT t.n, t.new_salt, t.keep, g.id
    FROM unnest($1::uuid[], $2::integer[], $3::bytea[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::bytea[], $11::text[], $12::boolean[], $13::text[])
         WITH ORDINALITY AS t (id, generation, salt, client_id, first_party, scopes, resources, new_salt, jkt, keep, x5t, n)
    JOIN auth.grants g ON g.id = t.id
    JOIN auth.users u ON u.id = g.user_id
   WHERE g.generation = t.generation AND g.salt = t.salt
     AND g.revoked_at IS NULL AND g.expires_at > $9 AND g.idle_expires_at > $9 AND g.client_id = t.client_id
     AND g.dpop_jkt IN ('', t.jkt) AND g.certificate_x5t IN ('', t.x5t)
     AND u.disabled_at IS NULL
     AND (t.first_party OR EXISTS (SELECT FROM auth.consents c WHERE c.user_id = g.user_id AND c.client_id = g.client_id))
     AND string_to_array(t.scopes, ' ') <@ g.scopes AND string_to_array(t.resources, ' ') <@ g.resources
     FOR UPDATE OF g SKIP LOCKED)
UPDATE auth.grants g
   SET generation = CASE WHEN t.keep THEN g.generation ELSE g.generation + 1 END,
       previous_salt = CASE WHEN t.keep THEN g.previous_salt ELSE g.salt END, salt = CASE WHEN t.keep THEN g.salt ELSE t.new_salt END,
       rotated_at = CASE WHEN t.keep THEN g.rotated_at ELSE $9 END, idle_expires_at = $10
  FROM t WHERE g.id = t.id
RETURNING t.n, g.user_id, g.sid, g.scopes, g.resources, g.authorization_details, g.session, g.generation, g.salt`

// turn is a refresh token that waits to be rotated, and what became of it.
type turn struct {
	token  refreshToken
	work   *work
	scopes []string
	salt   []byte

	lead    chan []*turn // is sent the turns that this one is to see to, or nil when it was seen to
	rotated *rotation    // nil if it was left out, which rotateGrant is to explain
	err     error
}

// rotations gathers the tokens that come while others are being rotated: where
// there are many, they share a round trip, a statement and a commit.
type rotations struct {
	mu      sync.Mutex
	running int
	waiting []*turn
}

// join returns the turns that t is to see to, itself the first, or nil when
// another has seen to t.
func (r *rotations) join(t *turn) []*turn {
	r.mu.Lock()
	if r.running < rotationsAtOnce {
		r.running++
		r.mu.Unlock()
		return []*turn{t}
	}
	r.waiting = append(r.waiting, t)
	r.mu.Unlock()
	return <-t.lead
}

// leave says that the turns were seen to, and has the next of those that wait go on.
func (r *rotations) leave(seen []*turn) {
	r.mu.Lock()
	if n := min(len(r.waiting), mostTogether); n > 0 {
		next := slices.Clone(r.waiting[:n])
		r.waiting = slices.Delete(r.waiting, 0, n)
		next[0].lead <- next
	} else {
		r.running--
	}
	r.mu.Unlock()
	for _, t := range seen[1:] {
		t.lead <- nil
	}
}

// rotateAll rotates the turns that are to be rotated, and lets the next go on.
func (s *grantStore) rotateAll(ctx context.Context, turns []*turn) {
	defer s.rotations.leave(turns)
	if len(turns) == 1 {
		one := turns[0]
		one.rotated, one.err = s.decide(ctx, rotateNewest, s.parameters(one, s.now()))
		return
	}
	if err := s.rotateMany(ctx, turns); err != nil {
		for _, t := range turns {
			t.rotated, t.err = nil, err
		}
	}
}

// rotateMany sees to the turns with one statement. A token that is there twice
// is rotated once.
func (s *grantStore) rotateMany(ctx context.Context, turns []*turn) error {
	n := len(turns)
	var (
		grants                                 = make([]id.ID, n)
		generations                            = make([]int32, n)
		salts, newSalts                        = make([][]byte, n), make([][]byte, n)
		clients, scopes, resources, keys, x5ts = make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		firstParty, keep                       = make([]bool, n), make([]bool, n)
	)
	for i, t := range turns {
		client := t.work.client
		grants[i], generations[i], salts[i], newSalts[i] = t.token.grantID, t.token.generation, t.token.salt[:], t.salt
		clients[i], firstParty[i], keep[i] = client.ID, client.Metadata.FirstParty, client.FAPI2()
		scopes[i], resources[i] = strings.Join(t.scopes, " "), strings.Join(t.work.resources, " ")
		keys[i], x5ts[i] = t.work.jkt, t.work.refreshCertificate()
	}
	now := s.now()
	rows, err := s.db.Query(ctx, rotateMany, grants, generations, salts, clients, firstParty, scopes, resources, newSalts,
		now, now.Add(s.cfg.RefreshIdle), keys, keep, x5ts)
	if err != nil {
		return postgres.Translate(err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			at int
			r  = rotation{outcome: rotationDone}
			g  = &r.grant
		)
		if err := rows.Scan(&at, &g.UserID, &g.SID, &g.Scopes, &g.Resources, &g.Details, &g.Session, &g.Generation, &g.Salt); err != nil {
			return postgres.Translate(err)
		}
		t := turns[at-1]
		g.ID, g.ClientID = t.token.grantID, t.work.client.ID
		t.rotated = &r
	}
	return postgres.Translate(rows.Err())
}
