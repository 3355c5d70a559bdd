package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"larder/authserver/oidc"
	"larder/internal/cache"
	"larder/internal/id"
)

// exported is an approval, as its person's copy of what we hold says it.
type exported struct {
	oidc.DecoupledRequest
	ApprovedAt time.Time `json:"approved_at"`
	State      string    `json:"state"` // approved, or used once the device has its tokens
}

// Export returns which devices a person has approved, for as long as that is
// kept beside the grants that came of it.
func (a *Authorizations) Export(ctx context.Context, user id.ID) (any, error) {
	names, err := a.Redis.SMembers(ctx, personKey(user)).Result()
	if err != nil {
		return nil, cache.Translate(err)
	}
	all := []exported{}
	for _, name := range names {
		values, err := a.Redis.HMGet(ctx, deviceKey(name), fieldState, fieldRequest, fieldAnswer).Result()
		if err != nil {
			return nil, cache.Translate(err)
		}
		state, _ := values[0].(string)
		request, _ := values[1].(string)
		answer, _ := values[2].(string)
		if answer == "" || state == string(oidc.DecoupledPending) {
			continue // it is over, does not count yet, or somebody else's answer came first
		}
		var yes approval
		one := exported{State: state}
		if err := errors.Join(json.Unmarshal([]byte(request), &one.DecoupledRequest), json.Unmarshal([]byte(answer), &yes)); err != nil {
			return nil, fmt.Errorf("reading a device authorization: %w", err)
		}
		if one.ApprovedAt = yes.At; yes.Login.Subject == user {
			all = append(all, one)
		}
	}
	return all, nil
}

// remember notes which authorization a person is about to approve. The note goes
// no later than what it leads to, but for what is approved after it.
func (a *Authorizations) remember(ctx context.Context, user id.ID, name string) error {
	if err := a.Redis.SAdd(ctx, personKey(user), name).Err(); err != nil {
		return cache.Translate(err)
	}
	return cache.Translate(a.Redis.PExpire(ctx, personKey(user), Lifetime+remembered).Err())
}

func personKey(user id.ID) string { return "device:person:" + user.String() }
