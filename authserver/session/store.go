package session

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/cache"
	"larder/internal/id"
	"larder/internal/risk"
	"larder/internal/secret"
)

// record is a session as it lies, sealed, in Redis.
type record struct {
	key       string
	Subject   id.ID     `json:"sub"`
	SID       string    `json:"sid"`
	AuthTime  time.Time `json:"auth_time"`
	ACR       string    `json:"acr,omitempty"`
	AMR       []string  `json:"amr,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	UsedAt    time.Time `json:"used_at"`
	UserAgent string    `json:"user_agent,omitempty"` // when it began

	PasswordSet time.Time        `json:"password_set,omitzero"` // of the password that was given
	Identity    id.ID            `json:"identity,omitzero"`     // that an unfinished sign-in began with; a session outlives it
	Risk        *risk.Assessment `json:"risk,omitempty"`
}

func (rec *record) login() *oidc.Login {
	return &oidc.Login{Subject: rec.Subject, SID: rec.SID, AuthTime: rec.AuthTime, ACR: rec.ACR, AMR: rec.AMR, PasswordSet: rec.PasswordSet, Identity: rec.Identity, Risk: rec.Risk}
}

// The keys of Redis: a session by the hash of its cookie, which of them a sid
// names, and which of them a person has, by the time they were made.
func keyOf(cookie string) string    { return "session:" + hex.EncodeToString(secret.Sum(cookie)) }
func sidKey(sid string) string      { return "session-sid:" + hex.EncodeToString(secret.Sum(sid)) }
func userKey(subject id.ID) string  { return "session-user:" + subject.String() }
func score(rec *record) float64     { return float64(rec.CreatedAt.UnixMilli()) }
func before(t time.Time) string     { return "(" + strconv.FormatInt(t.UnixMilli(), 10) }
func (rec *record) end() time.Time  { return rec.CreatedAt.Add(AbsoluteLife) }
func (rec *record) idle() time.Time { return rec.UsedAt.Add(IdleLife) }

// expiry is when rec is over unless it is used again.
func (rec *record) expiry() time.Time {
	if rec.end().Before(rec.idle()) {
		return rec.end()
	}
	return rec.idle()
}

// load returns nil for a session that is not there, is over, or is not what we
// sealed for this key.
func (s *Sessions) load(ctx context.Context, key string) (*record, error) {
	box, err := s.Redis.Get(ctx, key).Bytes()
	if err != nil {
		return nil, ignoreNone(err)
	}
	plain, err := s.Keyring().Open(key, box)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // moved, altered, or its key is retired: nobody is signed in
	}
	rec := &record{key: key}
	if err := json.Unmarshal(plain, rec); err != nil {
		return nil, err
	}
	if !s.Now().Before(rec.expiry()) {
		return nil, nil //nolint:nilnil // over
	}
	return rec, nil
}

func (s *Sessions) seal(rec *record) ([]byte, error) {
	plain, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	return s.Keyring().Seal(rec.key, plain), nil
}

// put stores a new session with its indexes, and drops what is too old or too
// many among the person's others. One that inherits its sid gets it, and the room
// of the one before, by replace.
func (s *Sessions) put(ctx context.Context, rec *record, inherits bool) error {
	box, err := s.seal(rec)
	if err != nil {
		return err
	}
	user := userKey(rec.Subject)
	var count *redis.IntCmd
	_, err = s.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, rec.key, box, rec.expiry().Sub(rec.UsedAt))
		if !inherits {
			p.Set(ctx, sidKey(rec.SID), rec.key, AbsoluteLife)
		}
		p.ZRemRangeByScore(ctx, user, "-inf", before(rec.CreatedAt.Add(-AbsoluteLife)))
		p.ZAdd(ctx, user, redis.Z{Score: score(rec), Member: rec.key})
		p.Expire(ctx, user, AbsoluteLife)
		count = p.ZCard(ctx, user)
		return nil
	})
	if err != nil {
		return cache.Translate(err)
	}
	most := int64(maxPerUser)
	if inherits {
		most++
	}
	if count.Val() <= most {
		return nil
	}
	return s.makeRoom(ctx, user, count.Val()-most)
}

func (s *Sessions) makeRoom(ctx context.Context, user string, n int64) error {
	oldest, err := s.Redis.ZPopMin(ctx, user, n).Result()
	if err != nil {
		return cache.Translate(err)
	}
	for _, z := range oldest {
		key, _ := z.Member.(string)
		rec, err := s.load(ctx, key)
		if err != nil {
			return err
		}
		if rec == nil {
			continue
		}
		if err := s.end(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// touch writes the idle time anew, unless the session has ended meanwhile.
func (s *Sessions) touch(ctx context.Context, rec *record) error {
	box, err := s.seal(rec)
	if err != nil {
		return err
	}
	_, err = s.Redis.SetArgs(ctx, rec.key, box, redis.SetArgs{Mode: "XX", TTL: rec.expiry().Sub(rec.UsedAt)}).Result()
	return ignoreNone(err)
}

// drop deletes a session and leaves its sid to the one that bears it too.
func (s *Sessions) drop(ctx context.Context, rec *record) error {
	_, err := s.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, rec.key)
		p.ZRem(ctx, userKey(rec.Subject), rec.key)
		return nil
	})
	return cache.Translate(err)
}

// remove deletes a session with its sid, and what has inherited that since rec was
// read: of the two at once either this finds the heir, or the heir finds no sid.
func (s *Sessions) remove(ctx context.Context, rec *record) error {
	named, err := s.Redis.GetDel(ctx, sidKey(rec.SID)).Result()
	if err = ignoreNone(err); err != nil {
		return err
	}
	if named != "" && named != rec.key {
		if err := s.drop(ctx, &record{key: named, Subject: rec.Subject}); err != nil {
			return err
		}
	}
	return s.drop(ctx, rec)
}

func ignoreNone(err error) error {
	if errors.Is(err, cache.ErrNone) {
		return nil
	}
	return cache.Translate(err)
}
