package bearer

import (
	"context"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"larder/internal/fault"
	"larder/internal/id"
)

const (
	expiryLeeway   = 5 * time.Second  // clocks differ, and the token was on its way
	futureLeeway   = 30 * time.Second // for iat and nbf
	verifiedAtMost = time.Minute      // how long a verified token is taken at its word
	maxVerified    = 4096
)

// verified is an access token that was found good.
type verified struct {
	caller     *Caller
	until      time.Time
	generation uint64 // of the key set that verified it
	bound      binding
}

// tokenHeader is the JOSE header (RFC 7515 §4). Members that would have us
// take a key from the token, or treat the token in a way that we do not know,
// are named so that they can be refused.
type tokenHeader struct {
	Alg  string             `json:"alg"`
	Kid  string             `json:"kid"`
	Typ  string             `json:"typ"`
	JWK  stdjson.RawMessage `json:"jwk"`
	JKU  stdjson.RawMessage `json:"jku"`
	X5U  stdjson.RawMessage `json:"x5u"`
	X5C  stdjson.RawMessage `json:"x5c"`
	Crit stdjson.RawMessage `json:"crit"`
	B64  stdjson.RawMessage `json:"b64"`
	Zip  stdjson.RawMessage `json:"zip"`
}

// accessClaims are the claims of RFC 9068 §2.2 and the issuer's grant_id.
type accessClaims struct {
	jwt.Claims
	ClientID string             `json:"client_id"`
	Scope    string             `json:"scope"`
	SID      string             `json:"sid"`
	GrantID  string             `json:"grant_id"`
	AuthTime *jwt.NumericDate   `json:"auth_time"`
	ACR      string             `json:"acr"`
	Risk     string             `json:"risk"`
	Device   string             `json:"device"`
	Cnf      stdjson.RawMessage `json:"cnf"`
	Details  stdjson.RawMessage `json:"authorization_details"` // RFC 9396 §9.1
	FamilyID string             `json:"family_id"`             // of an API key, or of a token that one was exchanged for
	APIKeyID string             `json:"api_key_id"`
	OwnKeyID string             `json:"personal_key_id"` // in place of api_key_id where the key is the person's own
}

// verify checks an access token (RFC 9068 §4).
func (g *Gate) verify(ctx context.Context, token string) (verified, error) {
	header, err := readHeader(token)
	if err != nil {
		return verified{}, invalid(err)
	}
	key, generation, err := g.keys.key(ctx, header.Kid)
	if fault.Is(err, fault.Unavailable) {
		return verified{}, err
	}
	if err != nil {
		return verified{}, invalid(err)
	}
	if header.Alg != string(key.alg) {
		return verified{}, invalid(fmt.Errorf("alg %q is not that of the key", header.Alg))
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{key.alg})
	if err != nil {
		return verified{}, invalid(err)
	}
	payload, err := jws.Verify(key.key)
	if err != nil {
		return verified{}, invalid(err)
	}
	var claims accessClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return verified{}, invalid(err)
	}
	now := g.now()
	if err := g.checkClaims(&claims, now); err != nil {
		return verified{}, err
	}
	bound, err := readBinding(claims.Cnf)
	if err != nil {
		return verified{}, invalid(err)
	}
	caller, err := claims.caller(g.config.Resource)
	if err != nil {
		return verified{}, invalid(err)
	}
	until := now.Add(verifiedAtMost)
	if last := caller.ExpiresAt.Add(expiryLeeway); last.Before(until) {
		until = last
	}
	return verified{caller: caller, until: until, generation: generation, bound: bound}, nil
}

// readHeader reads the header before anything of the token is believed.
func readHeader(token string) (tokenHeader, error) {
	var h tokenHeader
	encoded, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return h, err
	}
	for _, member := range []stdjson.RawMessage{h.JWK, h.JKU, h.X5U, h.X5C, h.Crit, h.B64, h.Zip} {
		if member != nil {
			return h, errors.New("the header holds a member that is refused")
		}
	}
	// RFC 9068 §4; media types know no case (RFC 7515 §4.1.9).
	if typ := strings.ToLower(h.Typ); typ != "at+jwt" && typ != "application/at+jwt" {
		return h, fmt.Errorf("typ is %q", h.Typ)
	}
	if h.Kid == "" {
		return h, errors.New("no kid")
	}
	return h, nil
}

func (g *Gate) checkClaims(c *accessClaims, now time.Time) error {
	switch {
	case c.Issuer != g.config.Issuer:
		return invalid(fmt.Errorf("iss is %q", c.Issuer))
	case !slices.Contains(c.Audience, g.config.Resource):
		return invalid(fmt.Errorf("aud is %q", []string(c.Audience)))
	case c.Expiry == nil || c.IssuedAt == nil || c.Subject == "" || c.ClientID == "" || c.ID == "":
		return invalid(errors.New("a mandatory claim is missing"))
	case c.IssuedAt.Time().After(now.Add(futureLeeway)) || c.NotBefore != nil && c.NotBefore.Time().After(now.Add(futureLeeway)):
		return invalid(errors.New("the token comes from the future"))
	case !now.Before(c.Expiry.Time().Add(expiryLeeway)):
		return expired()
	}
	return nil
}

// caller is whom the claims speak of, at the resource.
func (c *accessClaims) caller(resource string) (*Caller, error) {
	limit, err := readLimit(c.Details, resource)
	if err != nil {
		return nil, err
	}
	caller := &Caller{
		Kind: User, Subject: c.Subject, ClientID: c.ClientID, Scopes: strings.Fields(c.Scope), Limit: limit,
		AuthTime: c.AuthTime.Time(), ACR: c.ACR, Risk: c.Risk, Device: c.Device, JTI: c.ID, GrantID: c.GrantID, SID: c.SID,
		IssuedAt: c.IssuedAt.Time(), ExpiresAt: c.Expiry.Time(),
	}
	if c.Subject == c.ClientID {
		caller.Kind = App
	}
	if c.APIKeyID == "" && c.OwnKeyID == "" && c.FamilyID == "" {
		return caller, nil
	}
	caller.Kind, caller.APIKeyID = User, c.OwnKeyID
	if c.OwnKeyID == "" {
		caller.Kind, caller.APIKeyID = APIKey, c.APIKeyID
	}
	caller.Family, err = id.Parse(c.FamilyID)
	switch {
	case err != nil || caller.Family.IsZero() || caller.APIKeyID == "":
		return nil, errors.New("the key names no family")
	case c.APIKeyID != "" && c.OwnKeyID != "":
		return nil, errors.New("the key is a service account's and a person's")
	}
	return caller, nil
}
