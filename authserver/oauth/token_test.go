package oauth

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/authserver/oidc"
	"larder/internal/revocation"
)

// header and claims of a token, unverified.
func unpack(t testing.TB, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWS: %q", token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func names(m map[string]any) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// seconds is a NumericDate, 0 if there is none.
func seconds(claims map[string]any, name string) int64 {
	n, _ := claims[name].(float64)
	return int64(n)
}

func TestCodeExchangeGivesAllTokens(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser, user := h.browser(), h.addUser("Ada")
	login := h.signIn(browser, user.ID)
	a := h.webExchange(h.code(browser, webRequest("scope", "openid profile lists:read")))
	got := h.tokens(a)
	if got.TokenType != "Bearer" || got.ExpiresIn != 300 || got.Scope != "openid profile lists:read" || got.RefreshToken == "" {
		t.Errorf("answer %+v", got)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("headers %v", a.header)
	}
	header, claims := unpack(t, got.AccessToken)
	if header["typ"] != "at+jwt" || header["alg"] != "ES256" || header["kid"] == nil {
		t.Errorf("access token header %v", header)
	}
	want := []string{"acr", "amr", "aud", "auth_time", "client_id", "exp", "grant_id", "iat", "iss", "jti", "scope", "sid", "sub"}
	if !slices.Equal(names(claims), want) {
		t.Errorf("access token claims %v, want %v", names(claims), want)
	}
	if claims["aud"] != testAPI || claims["sub"] != user.ID.String() || claims["client_id"] != "web" || claims["sid"] != login.SID ||
		seconds(claims, "exp")-seconds(claims, "iat") != 300 {
		t.Errorf("access token claims %v", claims)
	}
	header, claims = unpack(t, got.IDToken)
	if header["alg"] != "ES256" || header["typ"] != "JWT" {
		t.Errorf("ID token header %v", header)
	}
	want = []string{"acr", "amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"}
	if !slices.Equal(names(claims), want) {
		t.Errorf("ID token claims %v, want %v", names(claims), want)
	}
	if claims["aud"] != "web" || claims["nonce"] != "n" || seconds(claims, "auth_time") != login.AuthTime.Unix() {
		t.Errorf("ID token claims %v", claims)
	}
	if !h.live(got.AccessToken) || h.live(got.IDToken) {
		t.Error("the access token is not accepted, or the ID token is")
	}
}

func TestIDTokenIsSignedAsTheClientAsks(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	client := h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		c := *client
		c.Metadata.IDTokenSignedAlg = alg
		h.clients.set(&c)
		got := h.tokens(h.webExchange(h.code(browser, webRequest())))
		header, claims := unpack(t, got.IDToken)
		sum := sha256.Sum256([]byte(got.AccessToken))
		hash := sum[:16]
		if alg == "EdDSA" {
			sum := sha512.Sum512([]byte(got.AccessToken))
			hash = sum[:32]
		}
		if header["alg"] != alg || claims["at_hash"] != base64.RawURLEncoding.EncodeToString(hash) {
			t.Errorf("%s: header %v, at_hash %v", alg, header, claims["at_hash"])
		}
		if _, _, err := h.keys.Verify(got.IDToken, idTokenType); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if header, _ := unpack(t, got.AccessToken); header["alg"] != "ES256" {
			t.Errorf("access token of a client with %s: %v", alg, header)
		}
	}
}

func TestCodeExchangeRefuses(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addSPA()
	h.addMachine()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	for name, c := range map[string]struct {
		change []string
		want   string
	}{
		"no code":                   {[]string{"code", ""}, "invalid_request"},
		"unknown code":              {[]string{"code", newCode()}, "invalid_grant"},
		"no redirect_uri":           {[]string{"redirect_uri", ""}, "invalid_grant"},
		"another port":              {[]string{"redirect_uri", "http://127.0.0.1:51001/callback"}, "invalid_grant"},
		"O4 no verifier":            {[]string{"code_verifier", ""}, "invalid_grant"},
		"O5 wrong verifier":         {[]string{"code_verifier", strings.Repeat("x", 43)}, "invalid_grant"},
		"O5 challenge as verifier":  {[]string{"code_verifier", challengeOf(testVerifier)}, "invalid_grant"},
		"resource not granted":      {[]string{"resource", "https://other.test"}, "invalid_target"},
		"no grant_type":             {[]string{"grant_type", ""}, "invalid_request"},
		"unknown grant_type":        {[]string{"grant_type", "password"}, "unsupported_grant_type"},
		"grant_type not registered": {[]string{"grant_type", "client_credentials"}, "unauthorized_client"},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // the browser is one
			refused(t, h.spaExchange(h.code(browser, spaRequest()), c.change...), http.StatusBadRequest, c.want)
		})
	}
	refused(t, h.post("/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}, "machine", "machine-secret"),
		http.StatusBadRequest, "unauthorized_client")
}

func TestCodeExpires(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code := h.code(browser, spaRequest())
	h.clock.Advance(61 * time.Second)
	refused(t, h.spaExchange(code), http.StatusBadRequest, "invalid_grant")
}

// O1: the second redemption fails and takes back what the first gave.
func TestCodeReplayRevokesWhatItGave(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code := h.code(browser, spaRequest())
	got := h.tokens(h.spaExchange(code))
	refused(t, h.spaExchange(code), http.StatusBadRequest, "invalid_grant")
	if h.live(got.AccessToken) {
		t.Error("the access token lives on")
	}
	refused(t, h.spaRefresh(got.RefreshToken), http.StatusBadRequest, "invalid_grant")
	h.audited("code.replayed", 1)
}

// The durable check: Redis forgets that the code was spent, Postgres does not.
func TestCodeReplayIsSeenWithoutRedis(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code := h.code(browser, spaRequest())
	key := codeKey(hashCode(code))
	before, err := h.p.Redis.Get(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	got := h.tokens(h.spaExchange(code))
	if err := h.p.Redis.Set(t.Context(), key, before, time.Minute).Err(); err != nil { // a failover to a replica that lagged
		t.Fatal(err)
	}
	refused(t, h.spaExchange(code), http.StatusBadRequest, "invalid_grant")
	if h.live(got.AccessToken) {
		t.Error("the access token lives on")
	}
	h.audited("code.replayed", 1)
}

// O3: another client neither redeems a code nor spends it.
func TestCodeIsBoundToItsClient(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code := h.code(browser, spaRequest())
	refused(t, h.webExchange(code, "redirect_uri", spaRedirect), http.StatusBadRequest, "invalid_grant")
	h.tokens(h.spaExchange(code))
}

// A person who was disabled, or whose session ended, after the code was made.
func TestCodeDiesWithItsSignIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	browser, user := h.browser(), h.addUser("Ada")
	login := h.signIn(browser, user.ID)
	code := h.code(browser, spaRequest())
	h.logOut(login)
	refused(t, h.spaExchange(code), http.StatusBadRequest, "invalid_grant")

	h.signIn(browser, user.ID)
	code = h.code(browser, spaRequest())
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE auth.users SET disabled_at = now() WHERE id = $1`, user.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, h.spaExchange(code), http.StatusBadRequest, "invalid_grant")
}

func TestNoRefreshTokenForAClientWithoutTheGrant(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := *h.addSPA()
	c.Metadata.GrantTypes = []string{oidc.AuthorizationCode}
	h.clients.set(&c)
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	if got := h.tokens(h.spaExchange(h.code(browser, spaRequest()))); got.RefreshToken != "" {
		t.Errorf("refresh token %q", got.RefreshToken)
	}
}

// RFC 8707: one audience is a string, several are a list, and a token may be
// asked for part of them.
func TestAudience(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	const second = "https://second.test"
	h.p.Config.ResourceServers = append(h.p.Config.ResourceServers, oidc.ResourceServer{Resource: second})
	c := *h.addSPA()
	c.Metadata.Resources = []string{testAPI, second}
	h.clients.set(&c)
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	audienceOf := func(token string) any { _, claims := unpack(t, token); return claims["aud"] }
	both := spaRequest()
	both["resource"] = []string{testAPI, second, second}

	if got := audienceOf(h.tokens(h.spaExchange(h.code(browser, spaRequest()))).AccessToken); got != testAPI {
		t.Errorf("no resource, API scope: aud %v", got)
	}
	if got := audienceOf(h.tokens(h.spaExchange(h.code(browser, spaRequest("scope", "openid")))).AccessToken); got != h.issuer {
		t.Errorf("no resource, identity scopes only: aud %v", got)
	}
	got := h.tokens(h.spaExchange(h.code(browser, both)))
	if list, ok := audienceOf(got.AccessToken).([]any); !ok || len(list) != 2 {
		t.Errorf("two resources: aud %v", audienceOf(got.AccessToken))
	}
	if one := h.tokens(h.spaExchange(h.code(browser, both), "resource", second)); audienceOf(one.AccessToken) != second {
		t.Errorf("narrowed at the exchange: aud %v", audienceOf(one.AccessToken))
	}
	refused(t, h.spaExchange(h.code(browser, spaRequest()), "resource", second), http.StatusBadRequest, "invalid_target")
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addMachine()
	h.addSPA()
	h.addClient("mixed", "mixed-secret", oidc.Metadata{GrantTypes: []string{oidc.ClientCredentials}, Scope: "openid lists:read"})
	ask := func(client string, form url.Values) answer {
		return h.post("/token", with(form, "grant_type", "client_credentials"), client, client+"-secret")
	}
	got := h.tokens(ask("machine", nil))
	if got.Scope != "lists:read lists:write" || got.RefreshToken != "" || got.IDToken != "" || got.ExpiresIn != 300 {
		t.Errorf("answer %+v", got)
	}
	_, claims := unpack(t, got.AccessToken)
	if !slices.Equal(names(claims), []string{"aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub"}) || claims["sub"] != "machine" || claims["aud"] != testAPI {
		t.Errorf("claims %v", claims)
	}
	if got := h.tokens(ask("machine", url.Values{"scope": {"lists:read"}, "resource": {testAPI}})); got.Scope != "lists:read" {
		t.Errorf("answer %+v", got)
	}
	if got := h.tokens(ask("mixed", nil)); got.Scope != "lists:read" {
		t.Errorf("answer %+v", got)
	}
	refused(t, ask("machine", url.Values{"scope": {"lists:read admin"}}), http.StatusBadRequest, "invalid_scope")
	refused(t, ask("mixed", url.Values{"scope": {"openid"}}), http.StatusBadRequest, "invalid_scope")
	refused(t, ask("machine", url.Values{"resource": {"https://other.test"}}), http.StatusBadRequest, "invalid_target")
	refused(t, h.post("/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"spa"}}), http.StatusBadRequest, "unauthorized_client")
}

func TestTokenEndpointRefusesWhatIsNoForm(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addMachine()
	for name, c := range map[string]struct {
		contentType, body string
		status            int
	}{
		"json":               {"application/json", `{"grant_type":"client_credentials"}`, 400},
		"multipart":          {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--", 400},
		"no content type":    {"", "grant_type=client_credentials", 400},
		"empty":              {"application/x-www-form-urlencoded", "", 400},
		"O7 repeated":        {"application/x-www-form-urlencoded", "grant_type=client_credentials&grant_type=client_credentials", 400},
		"O7 repeated scope":  {"application/x-www-form-urlencoded", "grant_type=client_credentials&scope=lists:read&scope=lists:write", 400},
		"quotes in a name":   {"application/x-www-form-urlencoded", `grant_type=client_credentials&%22%5C%C3%A9=1&%22%5C%C3%A9=2`, 400},
		"bad escape":         {"application/x-www-form-urlencoded", "grant_type=%zz", 400},
		"semicolon":          {"application/x-www-form-urlencoded", "grant_type=client_credentials;scope=x", 400},
		"not UTF-8":          {"application/x-www-form-urlencoded", "grant_type=client_credentials&scope=%ff", 400},
		"NUL":                {"application/x-www-form-urlencoded", "grant_type=client_credentials&scope=%00", 400},
		"100 MB":             {"application/x-www-form-urlencoded", "grant_type=client_credentials&x=" + strings.Repeat("x", 100<<10), 413},
		"a million fields":   {"application/x-www-form-urlencoded", "grant_type=client_credentials" + strings.Repeat("&a=b", 10000), 400},
		"parameter in query": {"application/x-www-form-urlencoded", "scope=x", 400},
	} {
		r := h.request(http.MethodPost, "/token?grant_type=client_credentials", url.Values{})
		r.Body = http.NoBody
		r2, err := http.NewRequestWithContext(t.Context(), r.Method, r.URL.String(), strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r2.SetBasicAuth("machine", "machine-secret")
		if r2.Header.Del("Content-Type"); c.contentType != "" {
			r2.Header.Set("Content-Type", c.contentType)
		}
		t.Run(name, func(t *testing.T) { refused(t, h.do(nil, r2), c.status, "invalid_request") }) //nolint:paralleltest // cheap
	}
	if a := h.get(nil, "/token"); a.status != http.StatusMethodNotAllowed {
		t.Errorf("GET /token: status %d", a.status)
	}
}

// What VerifyAccessToken refuses, one claim at a time.
func TestVerifyAccessToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := h.addUser("Ada")
	good := h.claims(user.ID)
	now := h.clock.Now()
	if _, err := h.p.VerifyAccessToken(t.Context(), h.sign(accessTokenType, good), testAPI); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*accessClaims){
		"issuer":     func(c *accessClaims) { c.Issuer = "https://sibling.test" },
		"audience":   func(c *accessClaims) { c.Audience = audience{"https://other.test"} },
		"expired":    func(c *accessClaims) { c.Expires = now.Unix() },
		"not expiry": func(c *accessClaims) { c.Expires = 0 },
		"future":     func(c *accessClaims) { c.IssuedAt = now.Add(2 * time.Minute).Unix() },
	} {
		c := good
		change(&c)
		if _, err := h.p.VerifyAccessToken(t.Context(), h.sign(accessTokenType, c), testAPI); err == nil {
			t.Errorf("wrong %s: accepted", name)
		}
	}
	for kind, value := range map[string]string{
		revocation.JTI: good.JTI, revocation.Grant: good.GrantID, revocation.Session: good.SID, revocation.Subject: good.Subject, revocation.Client: good.ClientID,
	} {
		h.p.Revocations = &revocation.Set{}
		h.p.Revocations.Add(now, revocation.Entry{Kind: kind, Value: value, RevokedAt: now, ExpiresAt: now.Add(time.Hour)})
		if _, err := h.p.VerifyAccessToken(t.Context(), h.sign(accessTokenType, good), testAPI); err == nil {
			t.Errorf("revoked %s: accepted", kind)
		}
	}
	h.p.Revocations = &revocation.Set{}
	for name, forged := range forgeries(h, good) {
		if _, err := h.p.VerifyAccessToken(t.Context(), forged, testAPI); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
