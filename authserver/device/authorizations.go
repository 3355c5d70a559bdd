package device

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/secret"
)

const (
	// Lifetime is how long a person has to type the code.
	Lifetime = 10 * time.Minute
	// remembered is how long beyond its life a device code is told from one that
	// never was.
	remembered = 10 * time.Minute
	attempts   = 5 // to find a user code that nobody has
)

// The fields of an authorization's hash in Redis.
const (
	fieldClient   = "client"
	fieldRequest  = "request"
	fieldState    = "state"
	fieldAnswer   = "answer"   // an approval, which counts once the state says so
	fieldExpires  = "expires"  // milliseconds since the epoch
	fieldInterval = "interval" // milliseconds
)

// Authorizations keeps what devices ask for. Fill in the exported fields.
type Authorizations struct {
	Redis redis.UniversalClient
	Now   func() time.Time
}

// approval is how a person said yes.
type approval struct {
	Login oidc.Login `json:"login"`
	At    time.Time  `json:"at"`
}

// Begin takes a request down and returns the code by which the device will ask
// for its tokens and the one that it shows.
func (a *Authorizations) Begin(ctx context.Context, req oidc.DecoupledRequest) (deviceCode, userCode string, err error) {
	body, err := json.Marshal(&req)
	if err != nil {
		return "", "", err
	}
	deviceCode = secret.New().Reveal()
	name := hash(deviceCode)
	if userCode, err = a.reserve(ctx, name); err != nil {
		return "", "", err
	}
	_, err = a.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, deviceKey(name), fieldClient, req.ClientID, fieldRequest, body, fieldState, string(oidc.DecoupledPending),
			fieldExpires, a.Now().Add(Lifetime).UnixMilli(), fieldInterval, oidc.PollInterval.Milliseconds())
		p.PExpire(ctx, deviceKey(name), Lifetime+remembered)
		return nil
	})
	return deviceCode, inGroups(userCode), cache.Translate(err)
}

// reserve finds a user code that is free and has it lead to the device code.
func (a *Authorizations) reserve(ctx context.Context, name string) (userCode string, err error) {
	for range attempts {
		userCode = newUserCode()
		free, err := a.Redis.SetNX(ctx, userKey(userCode), name, Lifetime).Result()
		if err != nil {
			return "", cache.Translate(err)
		}
		if free {
			return userCode, nil
		}
	}
	return "", fault.New(fault.Unavailable, "There is no free code right now. Please try again.")
}

// Find returns what a user code stands for, while it waits for an answer. Any
// other code is fault.NotFound.
func (a *Authorizations) Find(ctx context.Context, userCode string) (*oidc.DecoupledRequest, error) {
	name, err := a.name(ctx, userCode)
	if err != nil {
		return nil, err
	}
	values, err := a.Redis.HMGet(ctx, deviceKey(name), fieldState, fieldRequest).Result()
	if err != nil {
		return nil, cache.Translate(err)
	}
	state, _ := values[0].(string)
	body, _ := values[1].(string)
	if state != string(oidc.DecoupledPending) {
		return nil, unknownCode()
	}
	var req oidc.DecoupledRequest
	if err := json.Unmarshal([]byte(body), &req); err != nil {
		return nil, fmt.Errorf("reading a device authorization: %w", err)
	}
	if !a.Now().Before(req.AskedAt.Add(Lifetime)) {
		return nil, unknownCode()
	}
	return &req, nil
}

func unknownCode() error {
	return fault.New(fault.NotFound, "That code is not right, has been used, or is more than ten minutes old. Look at your device again.")
}

// Approve notes that the person who is signed in as login lets the device have what
// it asked for. The device waits until settle, and the person can be asked again. The
// device is a session of its own: it does not end when that browser signs out.
func (a *Authorizations) Approve(ctx context.Context, userCode string, login oidc.Login) (settle func(context.Context) error, err error) {
	login.SID = rand.Text()
	body, err := json.Marshal(&approval{Login: login, At: a.Now()})
	if err != nil {
		return nil, err
	}
	name, err := a.name(ctx, userCode)
	if err != nil {
		return nil, err
	}
	if err := a.remember(ctx, login.Subject, name); err != nil {
		return nil, err
	}
	if err := a.answer(ctx, userCode, name, oidc.DecoupledPending, string(body)); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		return a.answer(ctx, userCode, name, oidc.DecoupledApproved, string(body))
	}, nil
}

// Deny refuses the device.
func (a *Authorizations) Deny(ctx context.Context, userCode string) error {
	name, err := a.name(ctx, userCode)
	if err != nil {
		return err
	}
	return a.answer(ctx, userCode, name, oidc.DecoupledDenied, "")
}

// name returns what a user code leads to; fault.NotFound for any other code.
func (a *Authorizations) name(ctx context.Context, userCode string) (string, error) {
	name, err := a.Redis.Get(ctx, userKey(userCode)).Result()
	if err = cache.Translate(err); errors.Is(err, cache.ErrNone) {
		return "", unknownCode()
	}
	return name, err
}

// answer records an answer where none counts yet. One that does ends the user code:
// after a failure the person can try again.
func (a *Authorizations) answer(ctx context.Context, userCode, name string, state oidc.DecoupledState, body string) error {
	done, err := redis.NewScript(answerScript).Run(ctx, a.Redis, []string{deviceKey(name), userKey(userCode)}, string(state), body, a.Now().UnixMilli()).Int()
	if err != nil {
		return cache.Translate(err)
	}
	if done == 0 {
		return unknownCode()
	}
	return nil
}

const answerScript = `
local v = redis.call('HMGET', KEYS[1], 'state', 'expires')
if v[1] ~= 'pending' or tonumber(ARGV[3]) >= tonumber(v[2]) then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'answer', ARGV[2])
if ARGV[1] ~= 'pending' then redis.call('DEL', KEYS[2]) end
return 1`

// pollScript answers one poll. An approval is given out once. Who polls before
// the interval is over has to wait five seconds longer from then on (RFC 8628
// §3.5), a minute at most; a quarter of a second is forgiven, for networks are
// not even.
const pollScript = `
local v = redis.call('HMGET', KEYS[1], 'client', 'state', 'expires', 'interval', 'polled', 'request', 'answer')
local now = tonumber(ARGV[2])
if v[1] ~= ARGV[1] or v[2] == 'used' then return {'unknown'} end
if now >= tonumber(v[3]) then return {'expired'} end
if v[2] == 'approved' then
  redis.call('HSET', KEYS[1], 'state', 'used')
  return {'approved', v[6], v[7]}
end
if v[2] ~= 'pending' then return {v[2]} end
local interval = tonumber(v[4])
redis.call('HSET', KEYS[1], 'polled', ARGV[2])
if v[5] and now - tonumber(v[5]) < interval - 250 then
  redis.call('HSET', KEYS[1], 'interval', math.min(interval + 5000, 60000))
  return {'slow_down'}
end
return {'pending'}`

// Poll tells a device how far it is. DecoupledApproved comes once.
func (a *Authorizations) Poll(ctx context.Context, deviceCode, clientID string) (oidc.DecoupledAnswer, error) {
	said, err := redis.NewScript(pollScript).Run(ctx, a.Redis, []string{deviceKey(hash(deviceCode))}, clientID, a.Now().UnixMilli()).StringSlice()
	if err != nil {
		return oidc.DecoupledAnswer{}, cache.Translate(err)
	}
	answer := oidc.DecoupledAnswer{State: oidc.DecoupledState(said[0])}
	if answer.State != oidc.DecoupledApproved {
		return answer, nil
	}
	var yes approval
	if err := errors.Join(json.Unmarshal([]byte(said[1]), &answer.Request), json.Unmarshal([]byte(said[2]), &yes)); err != nil {
		return oidc.DecoupledAnswer{}, fmt.Errorf("reading a device authorization: %w", err)
	}
	answer.Login, answer.ApprovedAt, answer.ExpiresAt = yes.Login, yes.At, answer.Request.AskedAt.Add(Lifetime)
	return answer, nil
}

const restoreScript = `
if redis.call('HGET', KEYS[1], 'state') == 'used' then redis.call('HSET', KEYS[1], 'state', 'approved') end
return 0`

// Restore makes an approval good again whose tokens could not be given out.
func (a *Authorizations) Restore(ctx context.Context, deviceCode string) error {
	return cache.Translate(redis.NewScript(restoreScript).Run(ctx, a.Redis, []string{deviceKey(hash(deviceCode))}).Err())
}

func deviceKey(name string) string { return "device:code:" + name }

// A user code lies as its hash so that it is in no listing of keys. That hides
// little, short as it is; it only ever opens a page that asks.
func userKey(userCode string) string { return "device:user:" + hash(userCode) }

func hash(s string) string { return hex.EncodeToString(secret.Sum(s)) }
