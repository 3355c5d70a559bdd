package flow

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/secret"
)

// Lifetime is how long a request stays parked.
const Lifetime = 30 * time.Minute

// maxSize bounds one parked request, in bytes of JSON.
const maxSize = 32 << 10

const idLength = 43 // secret.New

// The fields of a flow's hash in Redis.
const (
	fieldRequest = "request"
	fieldDevice  = "device"
	fieldYes     = "answered_sid" // that is to approve
	fieldSID     = "approved_sid"
	fieldDenied  = "denied"
)

// Devices recognises browsers.
type Devices interface {
	Device(r *http.Request) string
	Ensure(w http.ResponseWriter, r *http.Request) (device string, fresh bool)
}

// Flows keeps parked requests.
type Flows struct {
	Redis   *redis.Client
	Devices Devices
	// Admit, if not nil, may refuse to park one more request of this browser's
	// network.
	Admit  func(r *http.Request) error
	Secure bool // the issuer is https
	// Suggest, if not nil, hears in which languages an app wants its sign-in.
	Suggest func(w http.ResponseWriter, r *http.Request, locales []string)
}

// Begin parks req for this browser and returns the id by which pages speak of
// it. What must never lie in Redis, a credential that a client put into its
// request by mistake, is left out of the form.
func (f *Flows) Begin(ctx context.Context, w http.ResponseWriter, r *http.Request, req oidc.AuthRequest) (flowID string, err error) {
	if f.Admit != nil {
		if err := f.Admit(r); err != nil {
			return "", err
		}
	}
	req.Form = maps.Clone(req.Form) // the caller's stays as it is
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type", "code_verifier", "password"} {
		req.Form.Del(name)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return "", err
	}
	if len(body) > maxSize {
		return "", fault.New(fault.TooLarge, "The authorization request is too large.")
	}
	device, fresh := f.Devices.Ensure(w, r)
	flowID = secret.New().Reveal()
	k := key(flowID)
	_, err = f.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, k, fieldRequest, body, fieldDevice, hash(device))
		p.Expire(ctx, k, Lifetime)
		return nil
	})
	if err != nil {
		return "", cache.Translate(err)
	}
	if fresh {
		f.setCookie(w, flowID, device)
	}
	if f.Suggest != nil {
		f.Suggest(w, r, req.UILocales)
	}
	return flowID, nil
}

// Resume returns the parked request, and how the person answered: the sid of
// the session that approved it, or denied. It is fault.NotFound when the flow
// is unknown, over, or another browser's.
func (f *Flows) Resume(ctx context.Context, r *http.Request, flowID string) (req *oidc.AuthRequest, approvedSID string, denied bool, err error) {
	if len(flowID) != idLength {
		return nil, "", false, over()
	}
	values, err := f.Redis.HGetAll(ctx, key(flowID)).Result()
	if err != nil {
		return nil, "", false, cache.Translate(err)
	}
	if len(values) == 0 || !f.sameBrowser(r, flowID, values[fieldDevice]) {
		return nil, "", false, over()
	}
	req = &oidc.AuthRequest{}
	if err := json.Unmarshal([]byte(values[fieldRequest]), req); err != nil {
		return nil, "", false, fmt.Errorf("reading a parked request: %w", err)
	}
	return req, values[fieldSID], values[fieldDenied] != "", nil
}

// Approve notes that the person in session sid allowed this request, which counts
// from settle on. The caller has seen by Resume that the browser is the flow's own.
func (f *Flows) Approve(ctx context.Context, flowID, sid string) (settle func(context.Context) error, err error) {
	err = f.answer(ctx, flowID, fieldYes, sid, fieldDenied)
	return func(ctx context.Context) error { return f.answer(ctx, flowID, fieldSID, sid, fieldDenied) }, err
}

// Deny records that the person refused this request.
func (f *Flows) Deny(ctx context.Context, flowID string) error {
	return f.answer(ctx, flowID, fieldDenied, "1", fieldSID)
}

// Finish ends the flow. first is true for one caller only, who may answer the
// client.
func (f *Flows) Finish(ctx context.Context, flowID string) (first bool, err error) {
	n, err := f.Redis.Del(ctx, key(flowID)).Result()
	return n == 1, cache.Translate(err)
}

// setAnswer writes one field and takes away another, if the flow is still
// there: a bare HSET would bring a finished one back, without end.
//
//nolint:gochecknoglobals // a constant, but for its type
var setAnswer = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('HDEL', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
`)

func (f *Flows) answer(ctx context.Context, flowID, field, value, opposite string) error {
	there, err := setAnswer.Run(ctx, f.Redis, []string{key(flowID)}, field, value, opposite).Int()
	if err != nil {
		return cache.Translate(err)
	}
	if there == 0 {
		return over()
	}
	return nil
}

func over() error {
	return fault.New(fault.NotFound, "This sign-in is finished already, took too long, or was started in another browser.").WithCode("sign_in_over")
}

func key(flowID string) string { return "flow:" + hash(flowID) }

func hash(s string) string { return hex.EncodeToString(secret.Sum(s)) }
