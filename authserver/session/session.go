package session

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/sealed"
	"larder/internal/secret"
)

// How long a session lives.
const (
	IdleLife     = 14 * 24 * time.Hour
	AbsoluteLife = 30 * 24 * time.Hour
	refreshAfter = 10 * time.Minute // how stale the idle time may be
)

// maxPerUser bounds the sessions of one person; the oldest makes room.
const maxPerUser = 100

// steps bounds how often the end of a session looks for what took its place.
const steps = 10

// Sessions keeps browser sessions in Redis.
type Sessions struct {
	Redis *redis.Client
	// Keyring seals the records; it is asked at each use, since keys rotate.
	Keyring func() *sealed.Keyring
	Secure  bool // the issuer is https
	Now     func() time.Time
	// Stands, if not nil, reports whether somebody may still be signed in by what
	// they gave. Start asks it once the session is there for EndUser to find: of a
	// sign-in and a change of the password at once either the change sees the
	// session, or the sign-in sees the change. A passkey or an account elsewhere that
	// is taken away begins no session after it.
	Stands func(ctx context.Context, login oidc.Login) (bool, error)
	// Started, if not nil, is told of each sign-in.
	Started func(ctx context.Context, r *http.Request, login oidc.Login) error
	// Greet, if not nil, may add to the answer by which somebody signs in.
	Greet func(ctx context.Context, w http.ResponseWriter, r *http.Request, subject id.ID)
	// Ended, if not nil, is told the sid of each session that somebody ended,
	// before it ends, to revoke what lives only as long as the session.
	Ended func(ctx context.Context, sid string) error
	// EndedUser, if not nil, is told the person whose sessions all end, before
	// they do: a process without the keys cannot read which they are.
	EndedUser func(ctx context.Context, subject id.ID) error
	// Managed sets the cookie of BrowserState at each sign-in and sign-out.
	Managed bool
}

// Current returns who is signed in at this browser; nil and no error when
// nobody is. Its error is fault.Unavailable: without Redis nobody knows.
func (s *Sessions) Current(r *http.Request) (*oidc.Login, error) {
	rec, err := s.current(r)
	if rec == nil || err != nil {
		return nil, err
	}
	if now := s.Now(); now.Sub(rec.UsedAt) > refreshAfter {
		rec.UsedAt = now
		if err := s.touch(r.Context(), rec); err != nil {
			return nil, err
		}
	}
	return rec.login(), nil
}

// Start signs a person in at this browser: a new session with a new cookie
// takes the place of the browser's old one, if it has one. AuthTime defaults to
// now. SID is that of the session to take the place of; without one it is a fresh
// one, or the old session's if that was the same person's. It fails with
// fault.Forbidden, and words for the page, when what the person gave counts no
// more, or the session to take the place of is over.
func (s *Sessions) Start(ctx context.Context, w http.ResponseWriter, r *http.Request, login oidc.Login) error {
	old, err := s.current(r)
	if err != nil {
		return err
	}
	if login.SID != "" && (old == nil || old.SID != login.SID) {
		return tooLate()
	}
	now := s.Now()
	if login.AuthTime.IsZero() {
		login.AuthTime = now
	}
	if login.SID == "" {
		login.SID = id.New().String()
		if old != nil && old.Subject == login.Subject {
			login.SID = old.SID
		}
	}
	cookie := secret.New().Reveal()
	rec := &record{
		key: keyOf(cookie), Subject: login.Subject, SID: login.SID, AuthTime: login.AuthTime.UTC(),
		ACR: login.ACR, AMR: login.AMR, PasswordSet: login.PasswordSet, CreatedAt: now.UTC(), UsedAt: now.UTC(),
		UserAgent: clip(r.UserAgent()), Risk: login.Risk,
	}
	again := old != nil && old.Subject == login.Subject
	if again && rec.Risk == nil {
		rec.Risk = old.Risk
	}
	inherits := old != nil && old.SID == rec.SID
	if err := s.put(ctx, rec, inherits); err != nil {
		return err
	}
	if err := s.lookAgain(ctx, login); err != nil {
		undo := s.remove
		if inherits {
			undo = s.drop
		}
		return errors.Join(err, undo(ctx, rec))
	}
	if s.Greet != nil {
		s.Greet(ctx, w, r, login.Subject)
	}
	if old != nil {
		if err := s.replace(ctx, old, rec); err != nil {
			return err
		}
	}
	if s.Started != nil {
		if err := s.Started(ctx, r, *rec.login()); err != nil {
			return err
		}
	}
	http.SetCookie(w, newCookie("session", cookie, s.Secure, AbsoluteLife))
	if s.Managed {
		s.setBrowserState(w, browserState(cookie), AbsoluteLife)
	}
	if s.heldKeyOf(r) == "" {
		return nil
	}
	http.SetCookie(w, newCookie("signin", "", s.Secure, -time.Second))
	return s.dropHeld(ctx, r)
}

// lookAgain refuses a session that began too late, see Stands.
func (s *Sessions) lookAgain(ctx context.Context, login oidc.Login) error {
	if s.Stands == nil {
		return nil
	}
	stands, err := s.Stands(ctx, login)
	if err == nil && !stands {
		err = tooLate()
	}
	return err
}

func tooLate() error {
	return fault.New(fault.Forbidden, "Your password or your account changed while you signed in. Sign in again.")
}

// End signs the person at this browser out; that nobody is signed in is fine.
func (s *Sessions) End(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	rec, err := s.current(r)
	if err != nil {
		return err
	}
	if rec != nil {
		if err := s.end(ctx, rec); err != nil {
			return err
		}
	}
	http.SetCookie(w, newCookie("session", "", s.Secure, -time.Second))
	if s.Managed {
		s.setBrowserState(w, "", -time.Second)
	}
	return nil
}

// EndSID ends the session that tokens call sid, wherever its browser is.
func (s *Sessions) EndSID(ctx context.Context, sid string) error {
	for range steps {
		key, err := s.Redis.Get(ctx, sidKey(sid)).Result()
		if err != nil {
			return ignoreNone(err)
		}
		rec, err := s.load(ctx, key)
		if err != nil {
			return err
		}
		if rec != nil {
			return s.end(ctx, rec)
		}
		// Over, or it has just made way for another that the sid names by now.
	}
	return nil
}

// EndUser ends every session of a person, unfinished sign-ins too, and returns
// how many sessions there were.
func (s *Sessions) EndUser(ctx context.Context, subject id.ID) (int, error) {
	if s.EndedUser != nil {
		if err := s.EndedUser(ctx, subject); err != nil {
			return 0, err
		}
	}
	if err := s.endHeld(ctx, subject); err != nil {
		return 0, err
	}
	ended := 0
	// What took the place of one of them meanwhile is among those of the next look.
	for range steps {
		keys, err := s.Redis.ZRange(ctx, userKey(subject), 0, -1).Result()
		if len(keys) == 0 || err != nil {
			return ended, cache.Translate(err)
		}
		for _, key := range keys {
			n, err := s.endKey(ctx, subject, key)
			if err != nil {
				return ended, err
			}
			ended += n
		}
	}
	return ended, nil
}

// endKey ends one of a person's sessions and returns how many there were.
func (s *Sessions) endKey(ctx context.Context, subject id.ID, key string) (int, error) {
	rec, err := s.load(ctx, key)
	if err != nil {
		return 0, err
	}
	if rec != nil {
		return 1, s.end(ctx, rec)
	}
	// Over, or sealed by keys that this process does not hold, as a subcommand
	// holds none: what cannot be read must not live on.
	var n *redis.IntCmd
	_, err = s.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		n = p.Del(ctx, key)
		p.ZRem(ctx, userKey(subject), key)
		return nil
	})
	return int(n.Val()), cache.Translate(err)
}

// clip bounds what a record keeps of a header.
func clip(header string) string {
	const most = 300
	return strings.ToValidUTF8(header[:min(len(header), most)], "")
}

func (s *Sessions) current(r *http.Request) (*record, error) {
	c, err := r.Cookie(cookieName("session", s.Secure))
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // no cookie: nobody is signed in
	}
	value, ok := parseCookie(c.Value)
	if !ok {
		return nil, nil //nolint:nilnil // not a cookie of ours: nobody is signed in
	}
	return s.load(r.Context(), keyOf(value))
}

// replace ends old in favour of its successor. The sid lives on if both share it;
// then the successor goes too, and it fails with fault.Forbidden, if old was ended
// before.
func (s *Sessions) replace(ctx context.Context, old, successor *record) error {
	if old.SID != successor.SID {
		return s.end(ctx, old)
	}
	// A sid names something for as long as its session stands.
	err := s.Redis.SetArgs(ctx, sidKey(old.SID), successor.key, redis.SetArgs{Mode: "XX", TTL: AbsoluteLife}).Err()
	if errors.Is(err, cache.ErrNone) {
		return errors.Join(tooLate(), s.drop(ctx, successor))
	}
	if err != nil {
		return cache.Translate(err)
	}
	return s.drop(ctx, old)
}

// end ends a session, with what took its place since rec was read.
func (s *Sessions) end(ctx context.Context, rec *record) error {
	if s.Ended != nil {
		if err := s.Ended(ctx, rec.SID); err != nil {
			return err
		}
	}
	return s.remove(ctx, rec)
}
