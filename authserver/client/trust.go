package client

import (
	"fmt"
	"net/url"
	"slices"

	"larder/authserver/oidc"
	"larder/internal/id"
)

const (
	maxActors   = 20
	maxIssuers  = 10
	maxSubjects = 500
	maxSubject  = 255 // characters (OpenID Connect Core §2)
)

// trust checks who may act with the client's tokens, and whose word it may bring.
func (c *check) trust() {
	exchanges, asserts := slices.Contains(c.m.GrantTypes, oidc.TokenExchange), slices.Contains(c.m.GrantTypes, oidc.JWTBearer)
	if c.public() && (exchanges || asserts) {
		c.fault("grant_types", "a public client can neither exchange tokens nor bring assertions") // anybody could be it
	}
	if asserts && len(c.m.TrustedIssuers) == 0 {
		c.fault("trusted_issuers", "must name whose assertions the client may bring")
	}
	if len(c.m.MayAct) > maxActors || slices.ContainsFunc(c.m.MayAct, func(s string) bool { return !validID(s) }) {
		c.fault("may_act", "must be at most %d client ids", maxActors)
	}
	if len(c.m.TrustedIssuers) > maxIssuers {
		c.fault("trusted_issuers", "must be at most %d", maxIssuers)
		return
	}
	seen := map[string]bool{}
	for i := range c.m.TrustedIssuers {
		t, at := &c.m.TrustedIssuers[i], fmt.Sprintf("trusted_issuers/%d/", i)
		if u, err := url.Parse(t.Issuer); err != nil || u.Scheme != "https" || u.Host == "" || len(t.Issuer) > maxURI || seen[t.Issuer] {
			c.fault(at+"issuer", "must be an https address, once")
		}
		seen[t.Issuer] = true
		c.issuerKeys(at, t)
		if len(t.Subjects) == 0 || len(t.Subjects) > maxSubjects {
			c.fault(at+"subjects", "must name 1 to %d subjects and the users that they are here", maxSubjects)
		}
		for subject, user := range t.Subjects {
			if subject == "" || len(subject) > maxSubject || user == (id.ID{}) {
				c.fault(at+"subjects", "must be subjects of at most %d characters, and ids of users", maxSubject)
				break
			}
		}
	}
}

func (c *check) issuerKeys(at string, t *oidc.TrustedIssuer) {
	switch {
	case (t.JWKS == nil) == (t.JWKSURI == ""):
		c.fault(at+"jwks", "must be there, or jwks_uri, and not both")
	case t.JWKS == nil:
		c.address(at+"jwks_uri", t.JWKSURI)
	case len(t.JWKS.Keys) == 0 || len(t.JWKS.Keys) > maxKeys:
		c.fault(at+"jwks/keys", "must be 1 to %d keys", maxKeys)
	default:
		for i := range t.JWKS.Keys {
			if err := publicKey(&t.JWKS.Keys[i]); err != "" {
				c.fault(fmt.Sprintf("%sjwks/keys/%d", at, i), "%s", err)
			}
		}
	}
}
