package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/authserver/oidc"
	"larder/internal/limit"
	"larder/internal/pgtest"
	"larder/internal/secret"
)

// push sends the request of the client web and returns its request_uri.
func (h *harness) push(namesAndValues ...string) string {
	h.t.Helper()
	a := h.post("/par", webRequest(namesAndValues...), "web", webSecret)
	if a.status != http.StatusCreated {
		h.t.Fatalf("status %d: %s", a.status, a.body)
	}
	requestURI, _ := a.json(h.t)["request_uri"].(string)
	return requestURI
}

// visit is the browser coming with a pushed request and, perhaps, more.
func (h *harness) visit(browser *http.Client, requestURI string, namesAndValues ...string) answer {
	h.t.Helper()
	return h.authorize(browser, with(url.Values{"client_id": {"web"}, "request_uri": {requestURI}}, namesAndValues...))
}

// shown fails unless a is an error page that leads nowhere.
func shown(t *testing.T, a answer, status int) {
	t.Helper()
	if a.status != status || a.header.Get("Location") != "" || !strings.Contains(a.body, "error page") {
		t.Errorf("status %d, location %q, body %q; want an error page, %d", a.status, a.header.Get("Location"), a.body, status)
	}
}

func TestPARHappyFlow(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	a := h.post("/par", webRequest(), "web", webSecret)
	if a.status != http.StatusCreated || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	body := a.json(t)
	requestURI, _ := body["request_uri"].(string)
	if len(requestURI) < len(requestURIPrefix)+43 || !strings.HasPrefix(requestURI, requestURIPrefix) || body["expires_in"] != 90.0 || len(body) != 2 {
		t.Fatalf("%v", body)
	}
	q := callback(t, h.visit(browser, requestURI), webRedirect)
	if q.Get("state") != "s" || q.Get("iss") != h.issuer {
		t.Fatalf("%v", q)
	}
	if tokens := h.tokens(h.webExchange(q.Get("code"))); tokens.IDToken == "" {
		t.Error("no ID token")
	}
}

// Modules ensure-different-nonce-inside-and-outside-request-object,
// ensure-different-state-…, state-only-outside-request-object-not-used.
func TestPAROnlyPushedValuesCount(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	q := callback(t, h.visit(browser, h.push("state", "", "scope", "openid"),
		"state", "outside", "nonce", "outside", "scope", "openid lists:read", "redirect_uri", "https://evil.test/", "response_mode", "form_post",
		"code_challenge", challengeOf("another verifier of the attacker, long enough")), webRedirect)
	if q.Has("state") {
		t.Errorf("a state from outside came back: %v", q)
	}
	tokens := h.tokens(h.webExchange(q.Get("code")))
	if tokens.Scope != "openid" {
		t.Errorf("scope %q", tokens.Scope)
	}
	if _, claims := unpack(t, tokens.IDToken); claims["nonce"] != "n" {
		t.Errorf("nonce %v", claims["nonce"])
	}
}

func TestPARRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addClient("other", "other-secret", oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode}, RedirectURIs: []string{webRedirect}, Scope: "openid lists:read", Resources: []string{testAPI},
	})
	for name, c := range map[string]struct {
		form   url.Values
		auth   []string
		status int
		code   string
	}{
		"par-authorization-request-containing-request_uri-form-param": {webRequest("request_uri", requestURIPrefix+"x"), []string{"web", webSecret}, 400, "invalid_request"},
		"par-ensure-pkce-required":                                    {webRequest("code_challenge", "", "code_challenge_method", ""), []string{"web", webSecret}, 400, "invalid_request"},
		"par-plain-pkce-rejected":                                     {webRequest("code_challenge", testVerifier, "code_challenge_method", "plain"), []string{"web", webSecret}, 400, "invalid_request"},
		"ensure-response-type-code-idtoken-fails":                     {webRequest("response_type", "code id_token"), []string{"web", webSecret}, 400, "unsupported_response_type"},
		"ensure-response-type-token-fails":                            {webRequest("response_type", "token"), []string{"web", webSecret}, 400, "unsupported_response_type"},
		"ensure-registered-redirect-uri":                              {webRequest("redirect_uri", "https://evil.test/"), []string{"web", webSecret}, 400, "invalid_request"},
		// The same as ensure-redirect-uri-in-authorization-request.
		"ensure-request-object-without-redirect-uri-fails": {webRequest("redirect_uri", ""), []string{"web", webSecret}, 400, "invalid_request"},
		"request object of a client without keys":          {webRequest("request", "e30.e30."), []string{"web", webSecret}, 400, "invalid_request_object"},
		"scope":              {webRequest("scope", "openid admin"), []string{"web", webSecret}, 400, "invalid_scope"},
		"resource":           {webRequest("resource", "https://elsewhere.test"), []string{"web", webSecret}, 400, "invalid_target"},
		"too large":          {webRequest("extra", strings.Repeat("x", maxPushed)), []string{"web", webSecret}, 413, "invalid_request"},
		"no authentication":  {webRequest(), nil, 401, "invalid_client"},
		"wrong secret":       {webRequest(), []string{"web", "wrong"}, 401, "invalid_client"},
		"pushed for another": {webRequest("client_id", "web"), []string{"other", "other-secret"}, 401, "invalid_client"}, // fosite lets it pass
	} {
		t.Run(name, func(t *testing.T) { refused(t, h.post("/par", c.form, c.auth...), c.status, c.code) })
	}
	t.Run("par-attempt-invalid-http-method", func(t *testing.T) {
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			if a := h.do(nil, h.request(method, "/par", webRequest())); a.status != http.StatusMethodNotAllowed {
				t.Errorf("%s: status %d", method, a.status)
			}
		}
	})
	t.Run("twice", func(t *testing.T) {
		twice := webRequest()
		twice["nonce"] = []string{"a", "b"}
		refused(t, h.post("/par", twice, "web", webSecret), 400, "invalid_request")
	})
}

func TestPARNamesItsClientByAuthentication(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	if q := callback(t, h.visit(browser, h.push("client_id", "")), webRedirect); !q.Has("code") {
		t.Errorf("%v", q)
	}
}

func TestPARRequestURIBelongsToItsClientAndTime(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	requestURI := h.push()
	t.Run("par-attempt-to-use-request_uri-for-different-client", func(t *testing.T) {
		shown(t, h.visit(browser, requestURI, "client_id", "spa", "redirect_uri", spaRedirect), http.StatusBadRequest)
		shown(t, h.visit(browser, requestURI, "client_id", ""), http.StatusBadRequest)
	})
	t.Run("unknown", func(t *testing.T) {
		shown(t, h.visit(browser, requestURIPrefix+"nobody-pushed-this"), http.StatusBadRequest)
	})
	t.Run("named twice", func(t *testing.T) {
		shown(t, h.authorize(browser, url.Values{"client_id": {"web"}, "request_uri": {requestURI, requestURI}}), http.StatusBadRequest)
	})
	t.Run("par-attempt-to-use-expired-request_uri", func(t *testing.T) {
		h.clock.Advance(pushedLifespan)
		shown(t, h.visit(browser, requestURI), http.StatusBadRequest)
	})
}

// Modules par-ensure-reused-request-uri-prior-to-auth-completion-succeeds and
// par-attempt-reuse-request_uri.
func TestPARRequestURIIsSpentByTheAnswer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	requestURI := h.push()
	first := flowOf(t, h.visit(browser, requestURI), "/login")
	second := flowOf(t, h.visit(browser, requestURI), "/login")
	h.signIn(browser, h.addUser("Ada").ID)
	h.clock.Advance(10 * time.Minute) // the person takes longer than the request_uri lives
	if q := callback(t, h.get(browser, "/authorize/continue?flow="+second), webRedirect); !q.Has("code") {
		t.Fatalf("%v", q)
	}
	shown(t, h.get(browser, "/authorize/continue?flow="+first), http.StatusConflict)
	shown(t, h.visit(browser, requestURI), http.StatusBadRequest)
}

// A person who refuses has answered too (module user-rejects-authentication).
func TestPARRefusalSpends(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.consents.missing.Store(true)
	login := h.signIn(browser, h.addUser("Ada").ID)
	requestURI := h.push()
	flowID := flowOf(t, h.visit(browser, requestURI), "/consent")
	h.flows.decide(flowID, login.SID, true)
	if q := callback(t, h.get(browser, "/authorize/continue?flow="+flowID), webRedirect); q.Get("error") != "access_denied" {
		t.Fatalf("%v", q)
	}
	shown(t, h.visit(browser, requestURI), http.StatusBadRequest)
}

func TestPARGivesOneCodeToManyWindows(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	requestURI := h.push()
	const windows = 16
	var codes, pages int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range windows {
		all.Go(func() {
			a := h.visit(browser, requestURI)
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(a.header.Get("Location"), "code=") {
				codes++
			} else if a.status == http.StatusConflict || a.status == http.StatusBadRequest {
				pages++
			}
		})
	}
	all.Wait()
	if codes != 1 || pages != windows-1 {
		t.Errorf("%d codes and %d error pages of %d", codes, pages, windows)
	}
}

// Module ensure-unsigned-authorization-request-without-using-par-fails.
func TestPARCanBeDemandedOfAClient(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	strict := *h.addClient("strict", webSecret, oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode}, RedirectURIs: []string{webRedirect}, Scope: "openid", FirstParty: true, RequirePAR: true,
	})
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	request := webRequest("client_id", strict.ID, "scope", "openid")
	if q := callback(t, h.authorize(browser, request), webRedirect); q.Get("error") != "invalid_request" {
		t.Errorf("%v", q)
	}
	a := h.post("/par", request, strict.ID, webSecret)
	requestURI, _ := a.json(t)["request_uri"].(string)
	if q := callback(t, h.visit(browser, requestURI, "client_id", strict.ID), webRedirect); !q.Has("code") {
		t.Errorf("%v", q)
	}
}

func TestPARStoresNoCredential(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addClient("post", webSecret, oidc.Metadata{
		GrantTypes: []string{oidc.AuthorizationCode}, RedirectURIs: []string{webRedirect}, Scope: "openid lists:read", Resources: []string{testAPI},
		TokenEndpointAuthMethod: oidc.ClientSecretPost,
	})
	a := h.post("/par", webRequest("client_id", "post", "client_secret", webSecret))
	requestURI, _ := a.json(t)["request_uri"].(string)
	stored, err := h.p.Redis.Get(t.Context(), pushedKey(requestURI)).Result()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, webSecret) || !strings.Contains(stored, "post") {
		t.Errorf("stored: %s", stored)
	}
	left, err := h.p.Redis.PTTL(t.Context(), pushedKey(requestURI)).Result()
	if err != nil || left <= 0 || left > pushedLifespan {
		t.Errorf("kept for %v, %v", left, err)
	}
}

// A flood is bounded, for one client and, where anybody can speak in its name,
// for one network.
func TestPARFloodIsBoundedPerClient(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	web, spa := h.addWeb(), h.addSPA()
	for name, client := range map[string]*oidc.Client{"confidential": web, "public": spa} {
		bucket, rate := pushRates(client, &http.Request{RemoteAddr: "127.0.0.1:1"})
		h.drain(bucket, rate)
		form, auth := webRequest(), []string{"web", webSecret}
		if client == spa {
			form, auth = spaRequest(), nil
		}
		a := h.post("/par", form, auth...)
		if a.status != http.StatusTooManyRequests || a.errorCode() != "temporarily_unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
	}
	elsewhere, _ := pushRates(spa, &http.Request{RemoteAddr: "192.0.2.1:1"})
	here, _ := pushRates(spa, &http.Request{RemoteAddr: "127.0.0.1:1"})
	if here == elsewhere {
		t.Error("a public client has one bucket for every network")
	}
}

// drain empties a bucket of the limiter, and a good part of what comes back.
func (h *harness) drain(bucket string, rate limit.Rate) {
	h.t.Helper()
	slow := limit.Rate{Burst: rate.Burst, Every: 24 * time.Hour}
	for range rate.Burst {
		if err := h.p.limits.Take(h.t.Context(), bucket, slow); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestPARWithoutRedisIsUnavailable(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	redis := pgtest.Redis(t)
	_ = redis.Close()
	h.p.pushed = &pushedStore{redis: redis}
	refused(t, h.post("/par", webRequest(), "web", webSecret), http.StatusServiceUnavailable, "temporarily_unavailable")
	shown(t, h.visit(h.browser(), requestURIPrefix+secret.New().Reveal()), http.StatusServiceUnavailable)
}
