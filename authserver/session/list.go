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
	keys, err := s.Redis.ZRange(ctx, userKey(subject), 0, -1).Result()
	if err != nil {
		return nil, cache.Translate(err)
	}
	var all []Info
	for _, key := range keys {
		rec, err := s.load(ctx, key)
		if err != nil {
			return nil, err
		}
		if rec != nil && rec.Subject == subject {
			all = append(all, Info{SID: rec.SID, Device: useragent.Describe(rec.UserAgent), CreatedAt: rec.CreatedAt, UsedAt: rec.UsedAt})
		}
	}
	slices.SortFunc(all, func(a, b Info) int { return cmp.Or(b.UsedAt.Compare(a.UsedAt), cmp.Compare(a.SID, b.SID)) })
	return all, nil
}

// EndOwn ends the sessions of a person that choose picks and returns how many
// there were. Nobody else's can be among them.
func (s *Sessions) EndOwn(ctx context.Context, subject id.ID, choose func(sid string) bool) (int, error) {
	all, err := s.List(ctx, subject)
	if err != nil {
		return 0, err
	}
	ended := 0
	for _, one := range all {
		if !choose(one.SID) {
			continue
		}
		if err := s.EndSID(ctx, one.SID); err != nil {
			return ended, err
		}
		ended++
	}
	return ended, nil
}
