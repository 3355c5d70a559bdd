package client_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"larder/authserver/client"
	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/outbound"
	"larder/internal/pgtest"
	"larder/internal/revocation"
	"larder/internal/sealed"
	"larder/internal/secret"
)

var operator = audit.Actor{Kind: "operator", ID: "test"}

func rules() client.Rules {
	return client.Rules{
		ResourceServers: []oidc.ResourceServer{{Resource: "http://localhost:9100", Scopes: []string{"lists:read", "lists:write"}}},
		Reachable:       outbound.New(outbound.Config{}).CheckURL,
	}
}

func register(t *testing.T, db *pgtest.DB) *client.Clients {
	t.Helper()
	ring, err := sealed.NewKeyring(make([]byte, sealed.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return &client.Clients{
		DB: db.Auth, Rules: rules(), Keyring: func(context.Context) (*sealed.Keyring, error) { return ring, nil },
		Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func web() oidc.Metadata {
	return oidc.Metadata{
		ClientName: "Web", RedirectURIs: []string{"https://web.example/callback"}, Scope: "openid lists:read",
		GrantTypes: []string{oidc.AuthorizationCode, oidc.RefreshToken}, Resources: []string{"http://localhost:9100"},
	}
}

func TestCreatedClientsAreFoundWithTheirDefaults(t *testing.T) {
	t.Parallel()
	clients := register(t, pgtest.New(t))
	if _, err := clients.Client(t.Context(), "web"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("before it exists: %v", err)
	}
	made, value, err := clients.Create(t.Context(), "web", web(), operator)
	if err != nil {
		t.Fatal(err)
	}
	got, err := clients.Client(t.Context(), "web") // unknown a moment ago, and remembered so
	if err != nil {
		t.Fatal(err)
	}
	want := web()
	want.TokenEndpointAuthMethod, want.ResponseTypes = oidc.ClientSecretBasic, []string{"code"}
	if diff := cmp.Diff(want, got.Metadata); diff != "" {
		t.Fatalf("metadata (-want +got):\n%s", diff)
	}
	if len(got.SecretHashes) != 1 || !secret.Matches(value.Reveal(), got.SecretHashes[0]) || got.Version != made.Version {
		t.Fatalf("%+v", got)
	}
	if _, _, err := clients.Create(t.Context(), "web", web(), operator); !fault.Is(err, fault.Conflict) {
		t.Fatalf("the same id again: %v", err)
	}
}

func TestAChangeReachesAnotherReplicaWithinASecond(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	here, there := register(t, db), register(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); there.Run(ctx) }()
	defer func() { cancel(); <-done }()

	within := func(what string, reached func() bool) {
		t.Helper()
		for start := time.Now(); !reached(); time.Sleep(10 * time.Millisecond) {
			if time.Since(start) > 2*time.Minute { // a second is promised; the machine may be busy
				t.Fatalf("%s did not reach the other replica", what)
			}
		}
	}
	if _, err := there.Client(t.Context(), "web"); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	if _, _, err := here.Create(t.Context(), "web", web(), operator); err != nil {
		t.Fatal(err)
	}
	within("creation", func() bool { _, err := there.Client(t.Context(), "web"); return err == nil })
	m := web()
	m.ClientName = "Renamed"
	if _, _, err := here.Update(t.Context(), "web", 0, m, operator); err != nil {
		t.Fatal(err)
	}
	within("update", func() bool {
		c, err := there.Client(t.Context(), "web")
		return err == nil && c.Metadata.ClientName == "Renamed"
	})
	if _, err := here.SetDisabled(t.Context(), "web", true, operator); err != nil {
		t.Fatal(err)
	}
	within("disabling", func() bool { _, err := there.Client(t.Context(), "web"); return fault.Is(err, fault.NotFound) })
}

func TestKnownAndUnknownClientsAreServedWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	clients := register(t, db)
	if _, _, err := clients.Create(t.Context(), "web", web(), operator); err != nil {
		t.Fatal(err)
	}
	ask := func() {
		for _, name := range []string{"web", "nobody", "not a client id", strings.Repeat("x", 10_000)} {
			_, err := clients.Client(t.Context(), name)
			if (name == "web") != (err == nil) {
				t.Fatalf("%.20q: %v", name, err)
			}
		}
	}
	ask()
	before := db.Auth.Stat().AcquireCount()
	for range 100 {
		ask()
	}
	if after := db.Auth.Stat().AcquireCount(); after != before {
		t.Fatalf("%d queries for what is known", after-before)
	}
}

func TestSecretsRotateWithTheOldOneKeptUntilDropped(t *testing.T) {
	t.Parallel()
	clients := register(t, pgtest.New(t))
	_, first, err := clients.Create(t.Context(), "web", web(), operator)
	if err != nil {
		t.Fatal(err)
	}
	good := func(values ...secret.String) {
		t.Helper()
		c, err := clients.Client(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		if len(c.SecretHashes) != len(values) {
			t.Fatalf("%d secrets in force, want %d", len(c.SecretHashes), len(values))
		}
		for _, v := range values {
			if !slices.ContainsFunc(c.SecretHashes, func(sum []byte) bool { return secret.Matches(v.Reveal(), sum) }) {
				t.Fatal("a secret that should be in force is not")
			}
		}
	}
	second, err := clients.RotateSecret(t.Context(), "web", operator)
	if err != nil {
		t.Fatal(err)
	}
	good(first, second)
	third, err := clients.RotateSecret(t.Context(), "web", operator)
	if err != nil {
		t.Fatal(err)
	}
	good(second, third)
	if err := clients.DropOldSecret(t.Context(), "web", operator); err != nil {
		t.Fatal(err)
	}
	good(third)
}

// A secret that signs must be known to check what it signed, so it lies sealed;
// no other method has one there, and a change of method leaves none behind.
func TestSecretsThatSignLieSealed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	clients := register(t, db)
	m := web()
	m.TokenEndpointAuthMethod = oidc.ClientSecretJWT
	_, first, err := clients.Create(t.Context(), "web", m, operator)
	if err != nil || first == "" {
		t.Fatal(first, err)
	}
	inForce := func(want ...secret.String) {
		t.Helper()
		c, err := clients.Client(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		got, err := clients.Secrets(t.Context(), c)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d secrets, want %d: %v", len(got), len(want), err)
		}
		for i, value := range want {
			if !secret.Matches(value.Reveal(), c.SecretHashes[i]) || bytes.Contains(c.SealedSecrets[i], []byte(value.Reveal())) {
				t.Errorf("secret %d lies otherwise", i)
			}
		}
	}
	inForce(first)
	second, err := clients.RotateSecret(t.Context(), "web", operator)
	if err != nil {
		t.Fatal(err)
	}
	inForce(second, first)
	if err := clients.DropOldSecret(t.Context(), "web", operator); err != nil {
		t.Fatal(err)
	}
	inForce(second)
	for _, method := range []string{oidc.ClientSecretBasic, oidc.ClientSecretJWT} {
		m.TokenEndpointAuthMethod = method
		_, value, err := clients.Update(t.Context(), "web", 0, m, operator)
		if err != nil || (value == "") != (method == oidc.ClientSecretBasic) {
			t.Fatalf("to %s: new secret %t, %v", method, value != "", err)
		}
		if value == "" {
			inForce()
		} else {
			inForce(value) // the one before could not be read again
		}
	}
	known := secret.New()
	if err := clients.Ensure(t.Context(), "web", m, known, operator); err != nil {
		t.Fatal(err)
	}
	inForce(known)
}

func TestDisablingRevokesWhatWasGranted(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	clients := register(t, db)
	if _, _, err := clients.Create(t.Context(), "web", web(), operator); err != nil {
		t.Fatal(err)
	}
	user, grant := id.New(), id.New()
	if _, err := db.Owner.Exec(t.Context(), `INSERT INTO auth.users (id, name) VALUES ($1, 'Ada')`, user); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Owner.Exec(t.Context(), `
INSERT INTO auth.grants (id, client_id, user_id, sid, scopes, resources, session, idle_expires_at, expires_at)
VALUES ($1, 'web', $2, 's', '{}', '{}', '{}', now() + interval '1 day', now() + interval '1 day')`, grant, user); err != nil {
		t.Fatal(err)
	}
	if _, err := clients.SetDisabled(t.Context(), "web", true, operator); err != nil {
		t.Fatal(err)
	}
	var revoked, told, audited bool
	if err := db.Owner.QueryRow(t.Context(), `
SELECT EXISTS (SELECT FROM auth.grants WHERE id = $1 AND revoked_at IS NOT NULL),
       EXISTS (SELECT FROM auth.revocations WHERE kind = $2 AND value = 'web'),
       EXISTS (SELECT FROM auth.audit_events WHERE action = 'client.disabled' AND actor_id = 'test')`,
		grant, revocation.Client).Scan(&revoked, &told, &audited); err != nil {
		t.Fatal(err)
	}
	if !revoked || !told || !audited {
		t.Fatalf("grant revoked %t, in the feed %t, audited %t", revoked, told, audited)
	}
}

func TestAnUpdateOfAnOldVersionIsRefused(t *testing.T) {
	t.Parallel()
	clients := register(t, pgtest.New(t))
	made, _, err := clients.Create(t.Context(), "", web(), operator)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := clients.Update(t.Context(), made.ID, made.Version, web(), operator); err != nil {
		t.Fatal(err)
	}
	if _, _, err := clients.Update(t.Context(), made.ID, made.Version, web(), operator); !fault.Is(err, fault.PreconditionFailed) {
		t.Fatalf("%v, want PreconditionFailed", err)
	}
	if _, _, err := clients.Update(t.Context(), "nobody", 0, web(), operator); !fault.Is(err, fault.NotFound) {
		t.Fatalf("%v, want NotFound", err)
	}
}

func TestEnsureIsIdempotent(t *testing.T) {
	t.Parallel()
	clients := register(t, pgtest.New(t))
	for range 2 {
		if err := clients.Ensure(t.Context(), "web", web(), "a known secret", operator); err != nil {
			t.Fatal(err)
		}
	}
	c, err := clients.Client(t.Context(), "web")
	if err != nil || len(c.SecretHashes) != 1 || !bytes.Equal(c.SecretHashes[0], secret.Sum("a known secret")) {
		t.Fatalf("%+v, %v", c, err)
	}
}

// Response types hang together with grants, and on the operator's setting.
func TestResponseTypes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		on            bool
		grants, types []string
		want          string // pointer of the fault, "" for none
	}{
		"code":                         {false, []string{"authorization_code"}, []string{"code"}, ""},
		"off":                          {false, []string{"authorization_code", "implicit"}, []string{"code"}, "/grant_types/1"},
		"off, by type":                 {false, []string{"authorization_code"}, []string{"id_token"}, "/response_types/0"},
		"implicit":                     {true, []string{"implicit"}, []string{"id_token", "token id_token"}, ""},
		"hybrid":                       {true, []string{"authorization_code", "implicit"}, []string{"code id_token"}, ""},
		"hybrid without implicit":      {true, []string{"authorization_code"}, []string{"code id_token"}, "/response_types"},
		"hybrid without code":          {true, []string{"implicit"}, []string{"code id_token"}, "/response_types"},
		"implicit for nothing":         {true, []string{"implicit"}, nil, "/response_types"},
		"the bare token of OAuth 2.0 ": {true, []string{"implicit"}, []string{"token"}, "/response_types/0"},
	} {
		m := web()
		m.GrantTypes, m.ResponseTypes = c.grants, c.types
		err := client.Rules{FrontChannel: c.on, ResourceServers: rules().ResourceServers}.Check(&m)
		var got []string
		if shown, ok := errors.AsType[*fault.Error](err); ok {
			for _, field := range shown.Fields {
				got = append(got, field.Pointer)
			}
		}
		if c.want == "" && err != nil || c.want != "" && !slices.Contains(got, c.want) {
			t.Errorf("%s: %v %v, want %q", name, got, err, c.want)
		}
		if name == "implicit" && !slices.Equal(m.ResponseTypes, []string{"id_token", "id_token token"}) {
			t.Errorf("%v", m.ResponseTypes)
		}
	}
}

func TestBadMetadataIsRefusedWithEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	no := false
	for name, c := range map[string]struct {
		change func(m *oidc.Metadata)
		want   []string
	}{
		"fine":               {func(*oidc.Metadata) {}, nil},
		"no name":            {func(m *oidc.Metadata) { m.ClientName = " " }, []string{"/client_name"}},
		"bidi name":          {func(m *oidc.Metadata) { m.ClientName = "bank\u202eevil" }, []string{"/client_name"}},
		"no redirect":        {func(m *oidc.Metadata) { m.RedirectURIs = nil }, []string{"/redirect_uris"}},
		"unknown scope":      {func(m *oidc.Metadata) { m.Scope = "openid root" }, []string{"/scope"}},
		"unknown grant":      {func(m *oidc.Metadata) { m.GrantTypes = append(m.GrantTypes, "password") }, []string{"/grant_types/2"}},
		"implicit":           {func(m *oidc.Metadata) { m.ResponseTypes = []string{"token"} }, []string{"/response_types/0"}},
		"foreign resource":   {func(m *oidc.Metadata) { m.Resources = []string{"https://other.example"} }, []string{"/resources/0"}},
		"bad id token alg":   {func(m *oidc.Metadata) { m.IDTokenSignedAlg = "none" }, []string{"/id_token_signed_response_alg"}},
		"http logo":          {func(m *oidc.Metadata) { m.LogoURI = "http://x.example/l.png" }, []string{"/logo_uri"}},
		"script page":        {func(m *oidc.Metadata) { m.PolicyURI = "javascript:alert(1)" }, []string{"/policy_uri"}},
		"key method, no key": {func(m *oidc.Metadata) { m.TokenEndpointAuthMethod = oidc.PrivateKeyJWT }, []string{"/jwks"}},
		"private key": {func(m *oidc.Metadata) {
			m.JWKS = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private}}}
		}, []string{"/jwks/keys/0"}},
		"symmetric key": {func(m *oidc.Metadata) {
			m.JWKS = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: []byte("secret")}}}
		}, []string{"/jwks/keys/0"}},
		"public without PKCE": {func(m *oidc.Metadata) {
			m.TokenEndpointAuthMethod, m.RequirePKCE = oidc.AuthMethodNone, &no
		}, []string{"/require_pkce"}},
		"public with client_credentials": {func(m *oidc.Metadata) {
			m.TokenEndpointAuthMethod, m.GrantTypes = oidc.AuthMethodNone, []string{oidc.AuthorizationCode, oidc.ClientCredentials}
		}, []string{"/grant_types"}},
		"refresh alone": {func(m *oidc.Metadata) { m.GrantTypes = []string{oidc.RefreshToken} }, []string{"/grant_types"}},
		"CIBA": {func(m *oidc.Metadata) {
			m.GrantTypes, m.RedirectURIs, m.BackchannelDelivery = []string{oidc.CIBA, oidc.RefreshToken}, nil, oidc.DeliveryPing
			m.BackchannelNotificationEndpoint = "https://app.example/ciba"
		}, nil},
		"CIBA, public": {func(m *oidc.Metadata) {
			m.GrantTypes, m.RedirectURIs, m.TokenEndpointAuthMethod = []string{oidc.CIBA}, nil, oidc.AuthMethodNone
		}, []string{"/grant_types"}},
		"CIBA by push":               {func(m *oidc.Metadata) { m.BackchannelDelivery = "push" }, []string{"/backchannel_token_delivery_mode"}},
		"CIBA by ping to nowhere":    {func(m *oidc.Metadata) { m.BackchannelDelivery = oidc.DeliveryPing }, []string{"/backchannel_client_notification_endpoint"}},
		"CIBA by ping to ourselves":  {func(m *oidc.Metadata) { m.BackchannelNotificationEndpoint = "https://127.0.0.1/" }, []string{"/backchannel_client_notification_endpoint"}},
		"CIBA, signed without a key": {func(m *oidc.Metadata) { m.BackchannelRequestAlg = "ES256" }, []string{"/jwks"}},
		"unknown profile":            {func(m *oidc.Metadata) { m.Profile = "bank" }, []string{"/profile"}},
		"fapi2":                      {fapi2(&private.PublicKey, nil), nil},
		"fapi2 by secret":            {func(m *oidc.Metadata) { m.Profile, m.DPoPBound = oidc.ProfileFAPI2, true }, []string{"/token_endpoint_auth_method"}},
		"fapi2 with bearer tokens": {
			fapi2(&private.PublicKey, func(m *oidc.Metadata) { m.DPoPBound = false }),
			[]string{"/dpop_bound_access_tokens"},
		},
		"keys twice": {func(m *oidc.Metadata) {
			m.JWKS, m.JWKSURI = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &private.PublicKey}}}, "https://app.example/jwks"
		}, []string{"/jwks_uri"}},
		"keys elsewhere": {func(m *oidc.Metadata) {
			m.TokenEndpointAuthMethod, m.JWKSURI, m.RequestURIs = oidc.PrivateKeyJWT, "https://app.example/jwks", []string{"https://app.example/o#hash"}
		}, nil},
		"O23 addresses of our own network": {func(m *oidc.Metadata) {
			m.JWKSURI, m.RequestURIs = "http://127.0.0.1/jwks", []string{"https://169.254.169.254/o#hash", "https://app.example/ o", "https://app.example/" + strings.Repeat("x", 512)}
		}, []string{"/jwks_uri", "/request_uris/0", "/request_uris/1", "/request_uris/2"}},
		"algorithms that are none": {func(m *oidc.Metadata) {
			m.JWKSURI, m.TokenEndpointAuthAlg, m.RequestObjectAlg, m.AuthorizationAlg, m.IntrospectionAlg = "https://app.example/jwks", "none", "none", "none", "HS256"
		}, []string{
			"/token_endpoint_auth_signing_alg", "/request_object_signing_alg", "/authorization_signed_response_alg", "/introspection_signed_response_alg",
		}},
		"signed requests without a key": {func(m *oidc.Metadata) { m.RequireRequestObject = true }, []string{"/jwks"}},
		"client_secret_jwt": {func(m *oidc.Metadata) {
			m.TokenEndpointAuthMethod, m.TokenEndpointAuthAlg = oidc.ClientSecretJWT, "HS256"
		}, nil},
		"client_secret_jwt by a key of its own": {func(m *oidc.Metadata) {
			m.TokenEndpointAuthMethod, m.TokenEndpointAuthAlg = oidc.ClientSecretJWT, "ES256"
		}, []string{"/token_endpoint_auth_signing_alg"}},
		"fapi2 by client_secret_jwt": {
			fapi2(&private.PublicKey, func(m *oidc.Metadata) { m.TokenEndpointAuthMethod = oidc.ClientSecretJWT }),
			[]string{"/token_endpoint_auth_method"},
		},
		"fapi2 that signs with RS256": {
			fapi2(&private.PublicKey, func(m *oidc.Metadata) { m.RequestObjectAlg, m.AuthorizationAlg = "RS256", "RS256" }),
			[]string{"/request_object_signing_alg", "/authorization_signed_response_alg"},
		},
		"fapi2 without PKCE": {fapi2(&private.PublicKey, func(m *oidc.Metadata) { m.RequirePKCE = &no }), []string{"/require_pkce"}},
		"fapi2 with RS256": {
			fapi2(&private.PublicKey, func(m *oidc.Metadata) { m.IDTokenSignedAlg = "RS256" }),
			[]string{"/id_token_signed_response_alg"},
		},
		"back channel": {func(m *oidc.Metadata) { m.BackchannelLogoutURI = "https://elsewhere.example/bye?x=1" }, nil},
		"front channel": {func(m *oidc.Metadata) {
			m.FrontchannelLogoutURI, m.FrontchannelLogoutSessionRequired = "https://WEB.example:443/bye?x=1", true
		}, nil},
		"back channel that cannot be called": {func(m *oidc.Metadata) { m.BackchannelLogoutURI = "https://127.0.0.1/bye" }, []string{"/backchannel_logout_uri"}},
		"back channel by http":               {func(m *oidc.Metadata) { m.BackchannelLogoutURI = "http://web.example/bye" }, []string{"/backchannel_logout_uri"}},
		"back channel with a fragment":       {func(m *oidc.Metadata) { m.BackchannelLogoutURI = "https://web.example/bye#x" }, []string{"/backchannel_logout_uri"}},
		"front channel elsewhere":            {func(m *oidc.Metadata) { m.FrontchannelLogoutURI = "https://other.example/bye" }, []string{"/frontchannel_logout_uri"}},
		"front channel at another port":      {func(m *oidc.Metadata) { m.FrontchannelLogoutURI = "https://web.example:8443/bye" }, []string{"/frontchannel_logout_uri"}},
		"front channel by IPv6": {func(m *oidc.Metadata) {
			m.RedirectURIs, m.FrontchannelLogoutURI = []string{"http://[::1]/callback"}, "http://[::1]/bye"
		}, []string{"/frontchannel_logout_uri"}},
		"front channel of a script": {func(m *oidc.Metadata) { m.FrontchannelLogoutURI = "javascript:alert(1)" }, []string{"/frontchannel_logout_uri"}},
		"many at once": {func(m *oidc.Metadata) {
			m.ClientName, m.Scope, m.RedirectURIs = "", "root", []string{"ftp://x", "https://x/#f"}
		}, []string{"/client_name", "/redirect_uris/0", "/redirect_uris/1", "/scope"}},
	} {
		m := web()
		c.change(&m)
		err := rules().Check(&m)
		var got []string
		if e, ok := errors.AsType[*fault.Error](err); ok {
			for _, f := range e.Fields {
				got = append(got, f.Pointer)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// fapi2 makes metadata those of a client of that profile, and then spoils them.
func fapi2(key any, spoil func(m *oidc.Metadata)) func(m *oidc.Metadata) {
	return func(m *oidc.Metadata) {
		m.Profile, m.DPoPBound, m.TokenEndpointAuthMethod = oidc.ProfileFAPI2, true, oidc.PrivateKeyJWT
		m.JWKS = &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key}}}
		if spoil != nil {
			spoil(m)
		}
	}
}

func TestRedirectURIs(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]struct{ confidential, public bool }{
		"https://app.example/cb":              {true, true},
		"https://app.example/cb?x=1":          {true, true},
		"http://localhost:3000/cb":            {true, true},
		"http://127.0.0.1/cb":                 {true, true},
		"http://[::1]/cb":                     {true, true},
		"com.example.app:/cb":                 {false, true},
		"http://app.example/cb":               {},
		"http://127.0.0.1.evil.example/cb":    {},
		"http://127.0.0.1:1@evil.example/cb":  {},
		"https://user@app.example/cb":         {},
		"https://app.example/cb#":             {},
		"https://app.example/cb#frag":         {},
		"https://*.example/cb":                {},
		"https://app.example/\\@evil.example": {},
		"https://app.example/ cb":             {},
		"https:///cb":                         {},
		"//app.example/cb":                    {},
		"/cb":                                 {},
		"app:/cb":                             {},
		"javascript:alert(1)":                 {},
		"data:text/html,x":                    {},
		"urn:ietf:wg:oauth:2.0:oob":           {},
		"https://b\u00fccher.example/cb":      {},
	} {
		for _, public := range []bool{false, true} {
			m := web()
			m.RedirectURIs = []string{uri}
			expected := want.confidential
			if public {
				m.TokenEndpointAuthMethod, expected = oidc.AuthMethodNone, want.public
			}
			if err := rules().Check(&m); (err == nil) != expected {
				t.Errorf("%s, public %t: %v", uri, public, fmt.Sprint(err))
			}
		}
	}
}
