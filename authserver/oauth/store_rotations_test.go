package oauth

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"larder/authserver/oidc"
)

// turn is a token of spa as a request for it waits.
func (h *harness) turn(refreshToken string, scopes ...string) *turn {
	h.t.Helper()
	token, ok := readRefreshToken(refreshToken, h.keys.MACKeys(refreshPurpose))
	client, err := h.clients.Client(h.t.Context(), "spa")
	if !ok || err != nil {
		h.t.Fatal(ok, err)
	}
	return &turn{token: token, work: &work{at: h.clock.Now(), client: client}, scopes: scopes, salt: newSalt(), lead: make(chan []*turn, 1)}
}

// Of tokens that come together each is judged by itself: what is amiss with one
// is no matter to the others, and nobody waits for a row that one of them needs.
func TestTokensThatAreRotatedTogether(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	fresh := func() string { f, _ := h.family(); return f.RefreshToken }
	whole, narrowed, twice, kept, beyond, elsewhere, stolen, bound, spent := fresh(), fresh(), fresh(), fresh(), fresh(), fresh(), fresh(), fresh(), fresh()
	h.tokens(h.spaRefresh(spent))
	locked, login := h.family()
	hold, err := h.db.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hold.Exec(t.Context(), `SELECT FROM auth.grants WHERE sid = $1 FOR UPDATE`, login.SID); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hold.Rollback(context.WithoutCancel(t.Context())) }()

	cases := []struct {
		name    string
		turn    *turn
		rotated bool
	}{
		{"the newest", h.turn(whole), true},
		{"for less", h.turn(narrowed, "openid", "lists:read"), true},
		{"one that is there twice", h.turn(twice), true},
		{"of a client that keeps its tokens", h.turn(kept), true},
		{"for more scope than there is", h.turn(beyond, "openid", "admin"), false},
		{"for another resource", h.turn(elsewhere), false},
		{"of another client", h.turn(stolen), false},
		{"bound to a key", h.turn(bound), false},
		{"used before", h.turn(spent), false},
		{"locked by somebody", h.turn(locked.RefreshToken), false},
	}
	keeper := *cases[3].turn.work.client
	keeper.Metadata.Profile = oidc.ProfileFAPI2
	cases[3].turn.work.client = &keeper
	cases[5].turn.work.resources = []string{"https://elsewhere.example"}
	cases[6].turn.work.client = h.addClient("other", "", keeper.Metadata)
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE auth.grants SET dpop_jkt = 'thumbprint' WHERE id = $1`, cases[7].turn.token.grantID); err != nil {
		t.Fatal(err)
	}
	again := h.turn(twice)
	turns := []*turn{again}
	for _, c := range cases {
		turns = append(turns, c.turn)
	}
	if err := h.p.grants.rotateMany(t.Context(), turns); err != nil {
		t.Fatal(err)
	}
	if again.rotated != nil { // either of the two may be the one
		cases[2].turn, again = again, cases[2].turn
	}
	if again.rotated != nil {
		t.Error("one token was rotated twice")
	}
	for _, c := range cases {
		if (c.turn.rotated != nil) != c.rotated {
			t.Errorf("%s: rotated %t", c.name, !c.rotated)
			continue
		}
		generation, salt := int32(1), c.turn.salt
		if c.turn.work.client == &keeper {
			generation, salt = 0, c.turn.token.salt[:]
		}
		if r := c.turn.rotated; r != nil && (r.outcome != rotationDone || r.grant.ID != c.turn.token.grantID || r.grant.Generation != generation ||
			!bytes.Equal(r.grant.Salt, salt) || r.grant.ClientID != "spa" || r.grant.UserID.IsZero()) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	if err := hold.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{whole, twice, kept, beyond, elsewhere, stolen, locked.RefreshToken} {
		h.tokens(h.spaRefresh(token)) // the first two find their successors again
	}
}

// What comes while tokens are being rotated is rotated next, all at once.
func TestTokensWaitForThoseBefore(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.p.grants
	var before []*turn
	for range rotationsAtOnce {
		f, _ := h.family()
		before = append(before, h.turn(f.RefreshToken))
		if led := store.rotations.join(before[len(before)-1]); len(led) != 1 {
			t.Fatalf("a lone token leads %d", len(led))
		}
	}
	var running sync.WaitGroup
	turns := make([]*turn, 5)
	for i := range turns {
		f, _ := h.family()
		turns[i] = h.turn(f.RefreshToken)
		running.Go(func() {
			one := turns[i]
			if r, err := store.rotate(t.Context(), one.token, one.work, nil); err != nil || r.outcome != rotationDone || r.grant.ID != one.token.grantID {
				t.Errorf("token %d: %+v, %v", i, r, err)
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); store.rotations.waits() < len(turns); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("they do not wait")
		}
	}
	store.rotations.leave(before[:1])
	running.Wait()
	for _, t := range before[1:] {
		store.rotations.leave([]*turn{t})
	}
	if r := &store.rotations; r.running != 0 || r.waits() != 0 {
		t.Errorf("%d run and %d wait at the end", r.running, r.waits())
	}
}

func (r *rotations) waits() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}
