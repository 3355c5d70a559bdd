package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/cache"
	"larder/internal/id"
)

// authorizationCode is all that a code stands for (RFC 6749 §4.1.2). It holds
// no secret, and lies under the SHA-256 of the code.
type authorizationCode struct {
	GrantID     id.ID                      `json:"grant_id"`
	ClientID    string                     `json:"client_id"`
	Subject     id.ID                      `json:"sub"`
	SID         string                     `json:"sid"`
	RedirectURI string                     `json:"redirect_uri"`
	Challenge   string                     `json:"code_challenge,omitempty"`
	Nonce       string                     `json:"nonce,omitempty"`
	JKT         string                     `json:"dpop_jkt,omitempty"` // of the one key that may redeem it (RFC 9449 §10)
	Scopes      []string                   `json:"scopes"`
	Resources   []string                   `json:"resources"`
	Details     []oidc.AuthorizationDetail `json:"authorization_details,omitempty"`
	Login       grantSession               `json:"login"`
	IssuedAt    time.Time                  `json:"issued_at"`
	ExpiresAt   time.Time                  `json:"expires_at"`
}

// codeLifespan is how long a code of the client is good: one minute at most in
// the fapi2 profile (FAPI 2.0 §5.3.2.1).
func (p *Provider) codeLifespan(client *oidc.Client) time.Duration {
	if client.FAPI2() {
		return min(p.Config.CodeLifespan, time.Minute)
	}
	return p.Config.CodeLifespan
}

// newCode returns 256 random bits.
func newCode() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

func hashCode(code string) []byte {
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}

// requester is the code as fosite asks for it.
func (c *authorizationCode) requester(w *work) fosite.Requester {
	r := fosite.NewRequest()
	r.ID = c.GrantID.String()
	r.RequestedAt = c.IssuedAt
	r.Client = w.fositeClient()
	r.RequestedScope, r.GrantedScope = c.Scopes, c.Scopes
	r.RequestedAudience, r.GrantedAudience = c.Resources, w.narrowed(c.Resources)
	r.Form.Set("redirect_uri", c.RedirectURI)
	if c.Challenge != "" {
		r.Form.Set("code_challenge", c.Challenge)
		r.Form.Set("code_challenge_method", "S256")
	}
	r.Session = &session{
		subject: c.Subject, sid: c.SID, grantID: c.GrantID.String(), nonce: c.Nonce,
		authTime: c.Login.AuthTime, acr: c.Login.ACR, amr: c.Login.AMR, risk: c.Login.Risk, claims: c.Login.Claims, codeExpires: c.ExpiresAt,
	}
	return r
}

// codeStore keeps codes in Redis. A value begins with a header of fixed length,
// so that a script can judge it without parsing:
//
//	state (1): n new, u used | grant id (36) | SHA-256 of the client_id, hex (64) | JSON
//
// A used code stays as its header, a tombstone by which a replay is known and
// its grant found.
type codeStore struct{ redis redis.UniversalClient }

const (
	codeHeader    = 1 + 36 + 64
	codeTombstone = time.Hour
)

// consumeCode takes a code in one step. Another client's attempt neither
// spends it nor learns of it.
const consumeCode = `
local v = redis.call('GET', KEYS[1])
if not v or string.sub(v, 38, 101) ~= ARGV[1] then return false end
if string.sub(v, 1, 1) == 'n' then
  redis.call('SET', KEYS[1], 'u' .. string.sub(v, 2, 101), 'PX', ARGV[2])
end
return v`

func codeKey(hash []byte) string { return "oauth:code:" + base64.RawURLEncoding.EncodeToString(hash) }

func clientMark(clientID string) string {
	sum := sha256.Sum256([]byte(clientID))
	return hex.EncodeToString(sum[:])
}

// put stores a new code for the given time.
func (s *codeStore) put(ctx context.Context, hash []byte, code *authorizationCode, ttl time.Duration) error {
	value, err := encodeCode(code)
	if err != nil {
		return err
	}
	return cache.Translate(s.redis.Set(ctx, codeKey(hash), value, ttl).Err())
}

// consume spends a code. code is nil when there is none, or none of this
// client's. spent says that it was spent before; then only its grant is known.
func (s *codeStore) consume(ctx context.Context, hash []byte, clientID string) (code *authorizationCode, spent bool, err error) {
	value, err := redis.NewScript(consumeCode).Run(ctx, s.redis, []string{codeKey(hash)}, clientMark(clientID), codeTombstone.Milliseconds()).Text()
	if err != nil {
		if err = cache.Translate(err); errors.Is(err, cache.ErrNone) {
			return nil, false, nil
		}
		return nil, false, err
	}
	return decodeCode(value, clientID)
}

// restore makes a code new again whose grant could not be written. That is safe
// even if it was written after all: a grant remembers its code (grantStore.create).
func (s *codeStore) restore(ctx context.Context, hash []byte, code *authorizationCode, ttl time.Duration) error {
	if ttl <= 0 {
		return nil
	}
	return s.put(ctx, hash, code, ttl)
}

func encodeCode(code *authorizationCode) (string, error) {
	body, err := json.Marshal(code)
	return "n" + code.GrantID.String() + clientMark(code.ClientID) + string(body), err
}

func decodeCode(value, clientID string) (code *authorizationCode, spent bool, err error) {
	if len(value) < codeHeader {
		return nil, false, errors.New("oauth: a stored code is cut short")
	}
	if value[0] == 'u' {
		grantID, err := id.Parse(value[1:37])
		return &authorizationCode{GrantID: grantID, ClientID: clientID}, true, err
	}
	code = &authorizationCode{}
	if err := json.Unmarshal([]byte(value[codeHeader:]), code); err != nil {
		return nil, false, err
	}
	return code, false, nil
}
