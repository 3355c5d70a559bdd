package registration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"larder/authserver/client"
	"larder/authserver/oidc"
	"larder/authserver/registration"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/limit"
	"larder/internal/outbound"
	"larder/internal/pgtest"
	"larder/internal/secret"
	"larder/internal/web"
)

const callback = "https://app.example/callback"

// place is the registration endpoint over a register of clients.
type place struct {
	t       *testing.T
	db      *pgtest.DB
	clients *client.Clients
	limiter *limit.Limiter
	url     string
}

func setup(t *testing.T, policy registration.Policy) *place {
	t.Helper()
	servers := []oidc.ResourceServer{{Resource: "https://api.example", Scopes: []string{"lists:read"}}}
	p := &place{t: t, db: pgtest.New(t), limiter: &limit.Limiter{Redis: pgtest.Redis(t)}}
	p.clients = &client.Clients{
		DB: p.db.Auth, Rules: client.Rules{ResourceServers: servers, Reachable: outbound.New(outbound.Config{}).CheckURL}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Fetch: outbound.New(outbound.Config{Timeout: time.Minute, MaxBody: 1 << 10, AllowLoopback: true}),
	}
	rt := web.NewRouter(web.Problem)
	server := httptest.NewServer(rt)
	t.Cleanup(server.Close)
	p.url = server.URL
	(&registration.Handler{
		Clients: p.clients, Policy: policy, Issuer: p.url, ResourceServers: servers, Limiter: p.limiter, Source: limit.Source,
	}).Mount(rt)
	return p
}

func open() registration.Policy { return registration.Policy{Open: true, WithoutPKCE: true} }

type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// send calls an address; body is JSON text, or anything that becomes JSON.
func (p *place) send(method, address, token string, body any) answer {
	p.t.Helper()
	text, isText := body.(string)
	if !isText && body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		text = string(encoded)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, strings.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			p.t.Fatalf("%s: %v", raw, err)
		}
	}
	return a
}

func (p *place) register(body any) answer {
	p.t.Helper()
	return p.send(http.MethodPost, p.url+"/connect/register", "", body)
}

func (a answer) text(member string) string { s, _ := a.body[member].(string); return s }

func (a answer) refused(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || a.text("error") != code || a.text("error_description") == "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %v; want %d %s", a.status, a.header, a.body, status, code)
	}
}

// What the Dynamic plan's modules register: no scope, no name.
func TestRegistrationDefaults(t *testing.T) {
	t.Parallel()
	p := setup(t, open())
	a := p.register(map[string]any{"redirect_uris": []string{callback}, "application_type": "web", "contacts": []string{"ops@app.example"}})
	if a.status != http.StatusCreated || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %v", a.status, a.header, a.body)
	}
	for member, want := range map[string]any{
		"redirect_uris": []any{callback}, "grant_types": []any{"authorization_code"}, "response_types": []any{"code"},
		"token_endpoint_auth_method": "client_secret_basic", "id_token_signed_response_alg": "RS256",
		"scope": "openid profile email address phone offline_access", "client_name": "Unnamed app at app.example",
		"client_secret_expires_at": 0.0, "require_pkce": false,
		"registration_client_uri": p.url + "/connect/register/" + a.text("client_id"),
	} {
		if diff := cmp.Diff(want, a.body[member]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", member, diff)
		}
	}
	c, err := p.clients.Client(t.Context(), a.text("client_id"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.SecretHashes) != 1 || !secret.Matches(a.text("client_secret"), c.SecretHashes[0]) || len(a.text("registration_access_token")) < 43 {
		t.Errorf("%+v of %v", c, a.body)
	}
}

func TestRegistrationPolicyOnPKCE(t *testing.T) {
	t.Parallel()
	strict := setup(t, registration.Policy{Open: true})
	if a := strict.register(map[string]any{"redirect_uris": []string{callback}, "require_pkce": false}); a.body["require_pkce"] != nil {
		t.Errorf("a client did away with PKCE: %v", a.body)
	}
	lax := setup(t, open())
	for name, body := range map[string]map[string]any{
		"public": {"redirect_uris": []string{callback}, "token_endpoint_auth_method": "none"},
		"fapi2":  {"redirect_uris": []string{callback}, "profile": "fapi2", "token_endpoint_auth_method": "private_key_jwt", "jwks": keySet(t)},
	} {
		if a := lax.register(body); a.status != http.StatusCreated || a.body["require_pkce"] != nil || a.body["client_secret"] != nil ||
			a.body["client_secret_expires_at"] != nil {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
}

// Module oidcc-registration-jwks-uri, and what else says who signs what.
func TestOidccRegistrationJWKSURI(t *testing.T) {
	t.Parallel()
	p := setup(t, open())
	want := map[string]any{
		"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "jwks_uri": "https://app.example/jwks",
		"request_uris": []any{"https://app.example/object#hash"}, "request_object_signing_alg": "RS256", "require_signed_request_object": true,
		"authorization_signed_response_alg": "RS256", "introspection_signed_response_alg": "ES256",
		"authorization_encrypted_response_alg": "RSA-OAEP-256", "introspection_encrypted_response_alg": "ECDH-ES", "introspection_encrypted_response_enc": "A256GCM",
		"id_token_encrypted_response_alg": "ECDH-ES+A256KW", "userinfo_encrypted_response_alg": "ECDH-ES",
	}
	body := map[string]any{"redirect_uris": []string{callback}}
	maps.Copy(body, want)
	a := p.register(body)
	shown := p.send(http.MethodGet, a.text("registration_client_uri"), a.text("registration_access_token"), nil)
	for _, answer := range []answer{a, shown} {
		for member, value := range want {
			if diff := cmp.Diff(value, answer.body[member]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", member, diff)
			}
		}
	}
	if a.status != http.StatusCreated || a.body["client_secret"] != nil || a.body["client_secret_expires_at"] != nil {
		t.Errorf("%d %v", a.status, a.body)
	}
}

func keySet(t *testing.T) jose.JSONWebKeySet {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}}
}

func TestRegistrationTakesNothingThatOnlyAnOperatorGives(t *testing.T) {
	t.Parallel()
	p := setup(t, open())
	a := p.register(map[string]any{
		"redirect_uris": []string{callback}, "first_party": true, "introspect_resource": "https://api.example", "scope": "openid lists:read",
		"may_act": []string{"evil"}, "trusted_issuers": []map[string]any{{"issuer": "https://evil.example", "jwks_uri": "https://evil.example/", "subjects": map[string]any{}}},
		"client_id": "web", "client_secret": "mine", "registration_access_token": "mine",
	})
	if a.status != http.StatusCreated || a.body["first_party"] != nil || a.body["introspect_resource"] != nil ||
		a.body["may_act"] != nil || a.body["trusted_issuers"] != nil ||
		a.text("client_id") == "web" || a.text("client_secret") == "mine" || a.text("registration_access_token") == "mine" {
		t.Errorf("%d %v", a.status, a.body)
	}
	if diff := cmp.Diff([]any{"https://api.example"}, a.body["resources"]); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	p.register(map[string]any{"redirect_uris": []string{callback}, "scope": "openid admin"}).refused(t, 400, "invalid_client_metadata")
}

func TestRegistrationRefusals(t *testing.T) {
	t.Parallel()
	p := setup(t, open())
	with := func(member string, value any) map[string]any {
		return map[string]any{"redirect_uris": []string{callback}, member: value}
	}
	for name, c := range map[string]struct {
		body any
		code string
	}{
		"oidcc-redirect-uri-regfrag": {map[string]any{"redirect_uris": []string{callback + "#f"}}, "invalid_redirect_uri"},
		"no redirect URI":            {map[string]any{}, "invalid_redirect_uri"},
		"plain http":                 {map[string]any{"redirect_uris": []string{"http://app.example/"}}, "invalid_redirect_uri"},
		"script":                     {map[string]any{"redirect_uris": []string{"javascript:alert(1)"}}, "invalid_redirect_uri"},
		"frontchannel_logout_uri of another site": {with("frontchannel_logout_uri", "https://other.example/front"), "invalid_client_metadata"},
		"oidcc-3rd_party-init-login-nohttps":      {with("initiate_login_uri", "http://app.example/login"), "invalid_client_metadata"},
		"oidcc-registration-sector-bad":           {with("sector_identifier_uri", "https://app.example/s.json"), "invalid_client_metadata"},
		"O23 jwks_uri into our network":           {with("jwks_uri", "http://169.254.169.254/"), "invalid_client_metadata"},
		"O23 request_uri into our network":        {with("request_uris", []string{"https://127.0.0.1/"}), "invalid_client_metadata"},
		"encrypted responses without a key":       {with("authorization_encrypted_response_alg", "RSA-OAEP-256"), "invalid_client_metadata"},
		"encrypted introspection by RSA1_5":       {with("introspection_encrypted_response_alg", "RSA1_5"), "invalid_client_metadata"},
		"encrypted request objects":               {with("request_object_encryption_alg", "RSA-OAEP-256"), "invalid_client_metadata"},
		"logo of another scheme":                  {with("logo_uri", "javascript:alert(1)"), "invalid_client_metadata"},
		"implicit":                                {with("response_types", []string{"id_token token"}), "invalid_client_metadata"},
		"token exchange":                          {with("grant_types", []string{"authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"}), "invalid_client_metadata"},
		"assertions of others":                    {with("grant_types", []string{"authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"}), "invalid_client_metadata"},
		"password grant":                          {with("grant_types", []string{"password"}), "invalid_client_metadata"},
		"a subject type of another world":         {with("subject_type", "tripartite"), "invalid_client_metadata"},
		"encrypted ID tokens without a key":       {with("id_token_encrypted_response_alg", "RSA-OAEP-256"), "invalid_client_metadata"},
		"encryption by RSA1_5":                    {with("userinfo_encrypted_response_alg", "RSA1_5"), "invalid_client_metadata"},
		"content encryption alone":                {with("userinfo_encrypted_response_enc", "A128GCM"), "invalid_client_metadata"},
		"a negative age":                          {with("default_max_age", -1), "invalid_client_metadata"},
		"unsigned ID tokens":                      {with("id_token_signed_response_alg", "none"), "invalid_client_metadata"},
		"unsigned userinfo that is a JWT":         {with("userinfo_signed_response_alg", "none"), "invalid_client_metadata"},
		"a method that we do not know":            {with("token_endpoint_auth_method", "tls_client_auth"), "invalid_client_metadata"},
		"private_key_jwt without a key":           {with("token_endpoint_auth_method", "private_key_jwt"), "invalid_client_metadata"},
		"a software statement":                    {with("software_statement", "e30.e30."), "invalid_client_metadata"},
		"a user code":                             {with("backchannel_user_code_parameter", true), "invalid_client_metadata"},
		"a wrong type":                            {with("grant_types", "authorization_code"), "invalid_client_metadata"},
		"no JSON":                                 {"redirect_uris=x", "invalid_client_metadata"},
	} {
		t.Run(name, func(t *testing.T) { p.register(c.body).refused(t, http.StatusBadRequest, c.code) })
	}
	t.Run("too large", func(t *testing.T) {
		p.register(with("client_name", strings.Repeat("x", 64<<10))).refused(t, http.StatusRequestEntityTooLarge, "invalid_client_metadata")
	})
}

// A sector's document lists every redirect URI of its clients; without one all
// of a client's have the same host.
func TestPairwiseClientsBelongToASector(t *testing.T) {
	t.Parallel()
	p := setup(t, open())
	const elsewhere, keysAddress = "https://other.example/callback", "https://app.example/jwks"
	sector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/both":
			_, _ = io.WriteString(w, `["`+callback+`", "`+elsewhere+`"]`)
		case "/one":
			_, _ = io.WriteString(w, `["`+callback+`"]`)
		case "/keys":
			_, _ = io.WriteString(w, `["`+callback+`", "`+keysAddress+`"]`)
		case "/long":
			_, _ = io.WriteString(w, `["`+callback+`", "`+elsewhere+`", "`+strings.Repeat("x", 2<<10)+`"]`)
		case "/object":
			_, _ = io.WriteString(w, `{"redirect_uris": []}`)
		default:
			http.Redirect(w, r, "/both", http.StatusFound)
		}
	}))
	t.Cleanup(sector.Close)
	pairwise := func(sectorURI string, redirects ...string) map[string]any {
		body := map[string]any{"redirect_uris": redirects, "subject_type": "pairwise"}
		if sectorURI != "" {
			body["sector_identifier_uri"] = sectorURI
		}
		return body
	}
	// Whose tokens do not pass a redirect URI is known by its keys, and shows them.
	byKeys := func(grant, sectorURI, method string, more ...any) map[string]any {
		body := map[string]any{"grant_types": []string{grant}, "subject_type": "pairwise", "jwks_uri": keysAddress, "token_endpoint_auth_method": method}
		if sectorURI != "" {
			body["sector_identifier_uri"] = sectorURI
		}
		for i := 0; i < len(more); i += 2 {
			name, _ := more[i].(string)
			body[name] = more[i+1]
		}
		return body
	}
	const secretly, byKey, signing = "client_secret_basic", "private_key_jwt", "backchannel_authentication_request_signing_alg"
	both := []string{oidc.AuthorizationCode, oidc.DeviceCode}
	for name, c := range map[string]struct {
		body map[string]any
		good bool
	}{
		"device: its keys are in the list":         {byKeys(oidc.DeviceCode, sector.URL+"/keys", byKey), true},
		"device: they are not":                     {byKeys(oidc.DeviceCode, sector.URL+"/one", byKey), false},
		"device: it need not show them":            {byKeys(oidc.DeviceCode, sector.URL+"/keys", secretly), false},
		"device: it has none there":                {byKeys(oidc.DeviceCode, sector.URL+"/keys", byKey, "jwks_uri", nil, "jwks", keySet(t)), false},
		"device: public":                           {byKeys(oidc.DeviceCode, sector.URL+"/keys", "none"), false},
		"device: known by their host":              {byKeys(oidc.DeviceCode, "", byKey), true},
		"device: an address of another's":          {byKeys("", sector.URL+"/one", byKey, "grant_types", both, "redirect_uris", []string{callback}), false},
		"device: an address and keys in the list":  {byKeys("", sector.URL+"/keys", byKey, "grant_types", both, "redirect_uris", []string{callback}), true},
		"device: an address and keys of one host":  {byKeys("", "", byKey, "grant_types", both, "redirect_uris", []string{callback}), true},
		"device: an address and keys of two hosts": {byKeys("", "", byKey, "grant_types", both, "redirect_uris", []string{elsewhere}), false},
		"CIBA: its keys are in the list":           {byKeys(oidc.CIBA, sector.URL+"/keys", byKey), true},
		"CIBA: they are not":                       {byKeys(oidc.CIBA, sector.URL+"/one", byKey), false},
		"CIBA: it need not show them":              {byKeys(oidc.CIBA, "", secretly), false},
		"CIBA: it signs its requests":              {byKeys(oidc.CIBA, "", secretly, signing, "ES256"), true},
		"CIBA: not those of its device":            {byKeys("", "", secretly, signing, "ES256", "grant_types", []string{oidc.CIBA, oidc.DeviceCode}), false},
		"one host":                                 {pairwise("", callback, "https://app.example/second"), true},
		"two hosts":                                {pairwise("", callback, elsewhere), false},
		"oidcc-registration-sector-uri":            {pairwise(sector.URL+"/both", callback, elsewhere), true},
		"oidcc-registration-sector-bad":            {pairwise(sector.URL+"/one", callback, elsewhere), false},
		"a document that is too long":              {pairwise(sector.URL+"/long", callback), false},
		"a document of another shape":              {pairwise(sector.URL+"/object", callback), false},
		"a redirect":                               {pairwise(sector.URL+"/redirect", callback), false},
		"nobody there":                             {pairwise("http://127.0.0.1:1/", callback), false},
		"an address inside":                        {pairwise("http://169.254.169.254/", callback), false},
		"public subjects with a sector":            {map[string]any{"redirect_uris": []string{callback}, "sector_identifier_uri": sector.URL + "/one"}, true},
		"public subjects, a bad sector ":           {map[string]any{"redirect_uris": []string{elsewhere}, "sector_identifier_uri": sector.URL + "/one"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.register(c.body)
			if !c.good {
				a.refused(t, http.StatusBadRequest, "invalid_client_metadata")
				return
			}
			if a.status != http.StatusCreated || a.body["sector_identifier_uri"] != c.body["sector_identifier_uri"] || a.body["subject_type"] != c.body["subject_type"] {
				t.Errorf("%d %v", a.status, a.body)
			}
		})
	}
}

// Module oidcc-3rd_party-init-login reads the registration back; RFC 7592.
func TestAClientLooksAfterItsRegistration(t *testing.T) {
	t.Parallel()
	p := setup(t, open())
	made := p.register(map[string]any{
		"redirect_uris": []string{callback}, "initiate_login_uri": "https://app.example/login", "client_name": "One",
		"backchannel_logout_uri": "https://app.example/back", "frontchannel_logout_uri": "https://app.example/front", "frontchannel_logout_session_required": true,
	})
	other := p.register(map[string]any{"redirect_uris": []string{callback}})
	address, token := made.text("registration_client_uri"), made.text("registration_access_token")

	read := p.send(http.MethodGet, address, token, nil)
	if read.status != http.StatusOK || read.text("initiate_login_uri") != "https://app.example/login" ||
		read.text("backchannel_logout_uri") != "https://app.example/back" || read.text("frontchannel_logout_uri") != "https://app.example/front" ||
		read.body["frontchannel_logout_session_required"] != true || read.text("client_name") != "One" ||
		read.text("registration_access_token") != token || read.body["client_secret"] != nil {
		t.Fatalf("%d %v", read.status, read.body)
	}
	update := map[string]any{"client_id": made.text("client_id"), "redirect_uris": []string{callback, "https://app.example/second"}, "client_name": "Two"}
	changed := p.send(http.MethodPut, address, token, update)
	if changed.status != http.StatusOK || changed.text("client_name") != "Two" || changed.body["initiate_login_uri"] != nil {
		t.Fatalf("%d %v", changed.status, changed.body)
	}
	update["client_secret"] = made.text("client_secret")
	if a := p.send(http.MethodPut, address, token, update); a.status != http.StatusOK {
		t.Errorf("with the present secret: %d %v", a.status, a.body)
	}
	for name, c := range map[string]struct {
		member string
		value  any
		code   string
	}{
		"another client_id":  {"client_id", other.text("client_id"), "invalid_client_metadata"},
		"no client_id":       {"client_id", "", "invalid_client_metadata"},
		"a secret to have":   {"client_secret", "chosen", "invalid_client_metadata"},
		"the access token":   {"registration_access_token", token, "invalid_client_metadata"},
		"a bad redirect URI": {"redirect_uris", []string{"http://app.example/"}, "invalid_redirect_uri"},
		"more power":         {"scope", "openid admin", "invalid_client_metadata"},
	} {
		body := map[string]any{"client_id": made.text("client_id"), "redirect_uris": []string{callback}}
		body[c.member] = c.value
		t.Run(name, func(t *testing.T) {
			p.send(http.MethodPut, address, token, body).refused(t, http.StatusBadRequest, c.code)
		})
	}
	for name, bad := range map[string]string{"no token": "", "another client's": other.text("registration_access_token"), "the secret": made.text("client_secret")} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			a := p.send(method, address, bad, update)
			a.refused(t, http.StatusUnauthorized, "invalid_token")
			if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%s with %s: %v", method, name, a.header)
			}
		}
	}
	if a := p.send(http.MethodDelete, address, token, nil); a.status != http.StatusNoContent || a.body != nil {
		t.Fatalf("%d %v", a.status, a.body)
	}
	p.send(http.MethodGet, address, token, nil).refused(t, http.StatusUnauthorized, "invalid_token")
	if _, err := p.clients.Client(t.Context(), made.text("client_id")); !fault.Is(err, fault.NotFound) {
		t.Errorf("the client is still there: %v", err)
	}
}

// A client that an operator made has no registration access token.
func TestOperatorsClientsAreOutOfReach(t *testing.T) {
	t.Parallel()
	p := setup(t, open())
	m := oidc.Metadata{ClientName: "Web", RedirectURIs: []string{callback}, Scope: "openid"}
	if _, _, err := p.clients.Create(t.Context(), "web", m, audit.Actor{Kind: "operator", ID: "test"}); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", "x"} {
		p.send(http.MethodGet, p.url+"/connect/register/web", token, nil).refused(t, http.StatusUnauthorized, "invalid_token")
	}
	p.send(http.MethodGet, p.url+"/connect/register/..%2Fweb", "x", nil).refused(t, http.StatusUnauthorized, "invalid_token")
}

func TestRegistrationMayNeedAToken(t *testing.T) {
	t.Parallel()
	p := setup(t, registration.Policy{InitialToken: true})
	good, err := p.clients.CreateRegistrationToken(t.Context(), 2, time.Now().Add(time.Hour), audit.Actor{Kind: "operator", ID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"redirect_uris": []string{callback}}
	register := func(token string, body any) answer {
		return p.send(http.MethodPost, p.url+"/connect/register", token, body)
	}
	register("", body).refused(t, http.StatusUnauthorized, "invalid_token")
	register("guessed", body).refused(t, http.StatusUnauthorized, "invalid_token")
	register(good.Reveal(), map[string]any{}).refused(t, http.StatusBadRequest, "invalid_redirect_uri") // and nothing is used up by that

	const callers = 8
	var all sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[int]int{}
	for range callers {
		all.Go(func() {
			a := register(good.Reveal(), body)
			mu.Lock()
			defer mu.Unlock()
			outcomes[a.status]++
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[int]int{http.StatusCreated: 2, http.StatusUnauthorized: callers - 2}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	late, err := p.clients.CreateRegistrationToken(t.Context(), 1, time.Now().Add(time.Hour), audit.Actor{Kind: "operator", ID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.db.Owner.Exec(t.Context(), `UPDATE auth.registration_tokens SET expires_at = now()`); err != nil {
		t.Fatal(err)
	}
	register(late.Reveal(), body).refused(t, http.StatusUnauthorized, "invalid_token")
}

func TestRegistrationMayBeOff(t *testing.T) {
	t.Parallel()
	p := setup(t, registration.Policy{})
	if a := p.register(map[string]any{"redirect_uris": []string{callback}}); a.status != http.StatusNotFound {
		t.Errorf("%d %v", a.status, a.body)
	}
}

func TestRegistrationsAreLimitedPerNetwork(t *testing.T) {
	t.Parallel()
	p := setup(t, open())
	for range 300 {
		if err := p.limiter.Take(t.Context(), "register:127.0.0.1", limit.Rate{Burst: 300, Every: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	a := p.register(map[string]any{"redirect_uris": []string{callback}})
	a.refused(t, http.StatusTooManyRequests, "temporarily_unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
