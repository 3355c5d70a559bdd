package session

import (
	"cmp"
	"context"
	"slices"
	"time"

	"larder/internal/cache"
	"larder/internal/id"
	"larder/internal/useragent"
)

// Info is a session as its owner may see it.
type Info struct {
	SID       string    `json:"sid"`
	Device    string    `json:"device"` // such as "Firefox on Windows"
	CreatedAt time.Time `json:"signed_in_at"`
	UsedAt    time.Time `json:"last_used_at"` // 10 minutes behind at most
}

// List returns a person's sessions, the last used first.
func (s *Sessions) List(ctx context.Context, subject id.ID) ([]Info, error) {
	var all []Info
	err := s.each(ctx, subject, func(rec *record) error {
		all = append(all, Info{SID: rec.SID, Device: useragent.Describe(rec.UserAgent), CreatedAt: rec.CreatedAt, UsedAt: rec.UsedAt})
		return nil
	})
	slices.SortFunc(all, func(a, b Info) int { return cmp.Or(b.UsedAt.Compare(a.UsedAt), cmp.Compare(a.SID, b.SID)) })
	return all, err
}

// EndOwn ends the sessions of a person that choose picks and returns how many
// there were. Nobody else's can be among them.
func (s *Sessions) EndOwn(ctx context.Context, subject id.ID, choose func(sid string) bool) (ended int, err error) {
	for range steps {
		before := ended
		err = s.each(ctx, subject, func(rec *record) error {
			if !choose(rec.SID) {
				return nil
			}
			ended++
			return s.end(ctx, rec)
		})
		if ended == before || err != nil {
			break // what took the place of one of them meanwhile was among those of this look
		}
	}
	return ended, err
}

// each calls f with every session of a person that this process can read.
func (s *Sessions) each(ctx context.Context, subject id.ID, f func(*record) error) error {
	keys, err := s.Redis.ZRange(ctx, userKey(subject), 0, -1).Result()
	if err != nil {
		return cache.Translate(err)
	}
	for _, key := range keys {
		rec, err := s.load(ctx, key)
		if err != nil {
			return err
		}
		if rec == nil || rec.Subject != subject {
			continue
		}
		if err := f(rec); err != nil {
			return err
		}
	}
	return nil
}
