package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/client"
	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
)

// Whose word counts, and who may act for whom, is registered whole or not at all.
func TestTrustIsCheckedWhenItIsRegistered(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := func(key any) *jose.JSONWebKeySet {
		return &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "1"}}}
	}
	good := oidc.TrustedIssuer{Issuer: "https://partner.example", JWKS: set(private.Public()), Subjects: map[string]id.ID{"a": id.New()}}
	changed := func(change func(*oidc.TrustedIssuer)) []oidc.TrustedIssuer {
		one := good
		change(&one)
		return []oidc.TrustedIssuer{one}
	}
	for name, test := range map[string]struct {
		m    oidc.Metadata
		want string // the member at fault, "" for none
	}{
		"good":            {oidc.Metadata{TrustedIssuers: []oidc.TrustedIssuer{good}, MayAct: []string{"mailer"}}, ""},
		"published":       {oidc.Metadata{TrustedIssuers: changed(func(t *oidc.TrustedIssuer) { t.JWKS, t.JWKSURI = nil, "https://partner.example/jwks" })}, ""},
		"public":          {oidc.Metadata{TrustedIssuers: []oidc.TrustedIssuer{good}, TokenEndpointAuthMethod: oidc.AuthMethodNone}, "/grant_types"},
		"nobody":          {oidc.Metadata{}, "/trusted_issuers"},
		"twice":           {oidc.Metadata{TrustedIssuers: []oidc.TrustedIssuer{good, good}}, "/trusted_issuers/1/issuer"},
		"plain http":      {oidc.Metadata{TrustedIssuers: changed(func(t *oidc.TrustedIssuer) { t.Issuer = "http://partner.example" })}, "/trusted_issuers/0/issuer"},
		"no keys":         {oidc.Metadata{TrustedIssuers: changed(func(t *oidc.TrustedIssuer) { t.JWKS = nil })}, "/trusted_issuers/0/jwks"},
		"both":            {oidc.Metadata{TrustedIssuers: changed(func(t *oidc.TrustedIssuer) { t.JWKSURI = "https://partner.example/jwks" })}, "/trusted_issuers/0/jwks"},
		"a private key":   {oidc.Metadata{TrustedIssuers: changed(func(t *oidc.TrustedIssuer) { t.JWKS = set(private) })}, "/trusted_issuers/0/jwks/keys/0"},
		"no subjects":     {oidc.Metadata{TrustedIssuers: changed(func(t *oidc.TrustedIssuer) { t.Subjects = nil })}, "/trusted_issuers/0/subjects"},
		"no user":         {oidc.Metadata{TrustedIssuers: changed(func(t *oidc.TrustedIssuer) { t.Subjects = map[string]id.ID{"a": {}} })}, "/trusted_issuers/0/subjects"},
		"no client to be": {oidc.Metadata{TrustedIssuers: []oidc.TrustedIssuer{good}, MayAct: []string{"a b"}}, "/may_act"},
		"unknown details": {oidc.Metadata{TrustedIssuers: []oidc.TrustedIssuer{good}, AuthorizationDetailsTypes: []string{"payment"}}, "/authorization_details_types/0"},
	} {
		test.m.ClientName, test.m.GrantTypes = "Partnered", []string{oidc.JWTBearer, oidc.TokenExchange}
		err := client.Rules{}.Check(&test.m)
		var found []string
		if shown, ok := err.(*fault.Error); ok { //nolint:errorlint // Check returns it bare
			for _, f := range shown.Fields {
				found = append(found, f.Pointer)
			}
		}
		if got := strings.Join(found, " "); got != test.want {
			t.Errorf("%s: at fault %q, want %q (%v)", name, got, test.want, err)
		}
	}
}
