package session

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/cache"
	"larder/internal/id"
	"larder/internal/secret"
)

// HeldLife is how long somebody who gave a password may take to show the second
// factor.
const HeldLife = 10 * time.Minute

// maxHeld bounds the unfinished sign-ins of one person; the oldest makes room.
const maxHeld = 20

// An unfinished sign-in is not a session with a flaw but no session: it has a
// cookie and a key space to itself, so that nothing that asks Current can take
// it for one.
func heldKey(cookie string) string     { return "session-held:" + hex.EncodeToString(secret.Sum(cookie)) }
func heldOfUser(subject id.ID) string  { return "session-held-user:" + subject.String() }
func (s *Sessions) heldCookie() string { return cookieName("signin", s.Secure) }

// Hold remembers that a person gave a password at this browser and owes a
// second factor. Nobody is signed in by it.
func (s *Sessions) Hold(ctx context.Context, w http.ResponseWriter, r *http.Request, login oidc.Login) error {
	if err := s.dropHeld(ctx, r); err != nil {
		return err
	}
	cookie, now := secret.New().Reveal(), s.Now().UTC()
	rec := &record{
		key: heldKey(cookie), Subject: login.Subject, AuthTime: login.AuthTime.UTC(), ACR: login.ACR, AMR: login.AMR,
		PasswordSet: login.PasswordSet, Identity: login.Identity, CreatedAt: now, UsedAt: now, Risk: login.Risk,
	}
	box, err := s.seal(rec)
	if err != nil {
		return err
	}
	user := heldOfUser(login.Subject)
	var count *redis.IntCmd
	_, err = s.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, rec.key, box, HeldLife)
		p.ZRemRangeByScore(ctx, user, "-inf", before(now.Add(-HeldLife)))
		p.ZAdd(ctx, user, redis.Z{Score: score(rec), Member: rec.key})
		p.Expire(ctx, user, HeldLife)
		count = p.ZCard(ctx, user)
		return nil
	})
	if err != nil {
		return cache.Translate(err)
	}
	if count.Val() > maxHeld {
		if err := s.dropOldestHeld(ctx, user, count.Val()-maxHeld); err != nil {
			return err
		}
	}
	http.SetCookie(w, newCookie("signin", cookie, s.Secure, HeldLife))
	return nil
}

// Held returns who gave a password at this browser and owes a second factor;
// nil and no error when nobody does.
func (s *Sessions) Held(r *http.Request) (*oidc.Login, error) {
	key := s.heldKeyOf(r)
	if key == "" {
		return nil, nil //nolint:nilnil // nobody
	}
	rec, err := s.load(r.Context(), key)
	if rec == nil || err != nil || !s.Now().Before(rec.CreatedAt.Add(HeldLife)) {
		return nil, err
	}
	return rec.login(), nil
}

// heldKeyOf is "" for a browser without an unfinished sign-in.
func (s *Sessions) heldKeyOf(r *http.Request) string {
	c, err := r.Cookie(s.heldCookie())
	if err != nil {
		return ""
	}
	value, ok := parseCookie(c.Value)
	if !ok {
		return ""
	}
	return heldKey(value)
}

// dropHeld ends the unfinished sign-in of this browser, if there is one.
func (s *Sessions) dropHeld(ctx context.Context, r *http.Request) error {
	key := s.heldKeyOf(r)
	if key == "" {
		return nil
	}
	return cache.Translate(s.Redis.Del(ctx, key).Err())
}

func (s *Sessions) dropOldestHeld(ctx context.Context, user string, n int64) error {
	oldest, err := s.Redis.ZPopMin(ctx, user, n).Result()
	if err != nil {
		return cache.Translate(err)
	}
	for _, z := range oldest {
		key, _ := z.Member.(string)
		if err := s.Redis.Del(ctx, key).Err(); err != nil {
			return cache.Translate(err)
		}
	}
	return nil
}

// endHeld ends every unfinished sign-in of a person.
func (s *Sessions) endHeld(ctx context.Context, subject id.ID) error {
	user := heldOfUser(subject)
	keys, err := s.Redis.ZRange(ctx, user, 0, -1).Result()
	if err != nil {
		return cache.Translate(err)
	}
	return cache.Translate(s.Redis.Del(ctx, append(keys, user)...).Err())
}
