package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"larder/internal/fault"
	"larder/internal/revocation"
	"larder/resourceapi/bearer/bearertest"
)

func TestStartsWithoutItsIssuer(t *testing.T) {
	b := setup(t)
	b.issuer.SetDown("", true)
	token := b.issuer.Token(nil)
	b.refuses(t, token, fault.Unavailable)
	b.refuses(t, bearertest.NewAPIKey(), fault.Unavailable)
	if err := b.Ping(t.Context()); err == nil {
		t.Error("ready without an issuer")
	}
	asked := b.issuer.Count()
	for range 100 {
		b.refuses(t, token, fault.Unavailable)
	}
	if n := b.issuer.Count().Discovery + b.issuer.Count().Revocations - asked.Discovery - asked.Revocations; n != 0 {
		t.Errorf("%d requests during the back-off", n)
	}
	b.issuer.SetDown("", false)
	b.clock.Advance(31 * time.Second)
	b.accepts(t, b.issuer.Token(nil))
	if err := b.Ping(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestRecoversByItself(t *testing.T) {
	b := setup(t)
	b.issuer.SetDown("", true)
	b.run(t)
	time.Sleep(50 * time.Millisecond)
	b.issuer.SetDown("", false)
	eventually(t, "ready", func() bool { return b.Ping(t.Context()) == nil })
}

// I6: keys serve for an hour after their max-age while the issuer is away,
// and then nothing passes.
func TestKeysServeThroughAnOutageUpToTheLimit(t *testing.T) {
	b := setup(t)
	b.issuer.SetCacheControl("max-age=600")
	b.accepts(t, b.issuer.Token(nil))
	b.issuer.SetDown("", true)

	b.clock.Advance(10*time.Minute + 59*time.Minute)
	b.accepts(t, b.issuer.Token(nil))
	kid, _ := b.issuer.Key()
	b.issuer.Rotate()
	start := time.Now()
	b.refuses(t, b.issuer.Token(nil), fault.Unavailable) // perhaps a new key: nobody can tell
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("an unknown kid took %v to fail", took)
	}
	b.issuer.Withdraw(kid)

	b.clock.Advance(2 * time.Minute)
	b.refuses(t, b.issuer.Token(nil), fault.Unavailable)
	if err := b.Ping(t.Context()); err == nil {
		t.Error("ready without usable keys")
	}
	b.issuer.SetDown("", false)
	b.clock.Advance(31 * time.Second)
	b.accepts(t, b.issuer.Token(nil))
}

// While the set is fresh, the issuer has published every key that it signs
// with; an outage does not make a made-up kid our fault.
func TestUnknownKidInAnOutageIsRefusedWhileFresh(t *testing.T) {
	b := setup(t)
	b.accepts(t, b.issuer.Token(nil))
	b.issuer.SetDown("/jwks", true)
	b.issuer.Rotate()
	b.refuses(t, b.issuer.Token(nil), fault.Unauthenticated)
}

func TestDiscoveryDocumentIsHeldToTheIssuer(t *testing.T) {
	elsewhere := bearertest.New(t, resource, time.Now)
	for name, document := range map[string]bearertest.Claims{
		"other issuer":          {"issuer": elsewhere.URL},
		"trailing slash":        {"issuer": "/"},
		"keys elsewhere":        {"jwks_uri": elsewhere.URL + "/jwks"},
		"introspects elsewhere": {"introspection_endpoint": elsewhere.URL + "/introspect"},
		"no keys":               {"jwks_uri": nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			if document["issuer"] == "/" {
				document["issuer"] = b.issuer.URL + "/"
			}
			b.issuer.SetDocument(document)
			b.refuses(t, b.issuer.Token(nil), fault.Unavailable)
			b.refuses(t, bearertest.NewAPIKey(), fault.Unavailable)
			if n := b.issuer.Count(); n.JWKS+n.Introspection != 0 {
				t.Errorf("the document was used: %+v", n)
			}
		})
	}
	if n := elsewhere.Count(); n != (bearertest.Count{}) {
		t.Errorf("another host was asked: %+v", n)
	}
}

func TestRedirectsStayAtTheIssuer(t *testing.T) {
	c := &clock{}
	elsewhere := bearertest.New(t, resource, c.Now)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.Handle("/", http.RedirectHandler(elsewhere.URL+"/.well-known/oauth-authorization-server", http.StatusFound))

	config := elsewhere.Config()
	config.Issuer = server.URL
	b := newBundle(t, elsewhere, config, c)
	b.refuses(t, elsewhere.Token(bearertest.Claims{"iss": server.URL}), fault.Unavailable)
	if n := elsewhere.Count(); n != (bearertest.Count{}) {
		t.Errorf("the redirect was followed: %+v", n)
	}
}

func TestEndlessDocumentsAreCutShort(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		blank := make([]byte, 1<<16)
		for i := range blank {
			blank[i] = ' '
		}
		for range 1 << 10 {
			if _, err := w.Write(blank); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	c := &clock{}
	iss := bearertest.New(t, resource, c.Now)
	config := iss.Config()
	config.Issuer = server.URL
	newBundle(t, iss, config, c).refuses(t, iss.Token(nil), fault.Unavailable)
}

// A revoked token must not pass because we have not heard of it yet.
func TestNothingPassesBeforeTheFirstRevocations(t *testing.T) {
	b := setup(t)
	b.issuer.SetDown("/revocations", true)
	token := b.issuer.Token(bearertest.Claims{"jti": "stolen"})
	b.refuses(t, token, fault.Unavailable)
	b.issuer.Revoke(revocation.JTI, "stolen")
	b.issuer.SetDown("/revocations", false)
	b.clock.Advance(2 * time.Second)
	b.refuses(t, token, fault.Unauthenticated)
	b.accepts(t, b.issuer.Token(nil))
}

func TestRevocationReachesCachedTokensWithinSeconds(t *testing.T) {
	b := setup(t)
	b.run(t)
	for _, kind := range []string{revocation.JTI, revocation.Grant, revocation.Session, revocation.Subject, revocation.Client} {
		t.Run(kind, func(t *testing.T) {
			value := "revoked-by-" + kind
			token := b.issuer.Token(bearertest.Claims{kind: value})
			other := b.issuer.Token(nil)
			b.accepts(t, token)
			b.accepts(t, other)
			b.issuer.Revoke(kind, value)
			eventually(t, "the token is dead", func() bool {
				_, err := b.ask(t, token)
				return fault.Is(err, fault.Unauthenticated)
			})
			b.accepts(t, other)
			b.refuses(t, b.issuer.Token(bearertest.Claims{kind: value, "iat": b.clock.Now().Add(-time.Minute).Unix()}), fault.Unauthenticated)
			if kind == revocation.Subject { // who signs in again is let in
				b.accepts(t, b.issuer.Token(bearertest.Claims{kind: value, "iat": b.clock.Now().Add(3 * time.Second).Unix()}))
			}
		})
	}
}

func TestWrongClientSecretIsOurFault(t *testing.T) {
	c := &clock{}
	iss := bearertest.New(t, resource, c.Now)
	config := iss.Config()
	config.ClientSecret = "wrong"
	b := newBundle(t, iss, config, c)
	key, _ := iss.APIKey([16]byte{1}, "lists:read")
	b.refuses(t, iss.Token(nil), fault.Unavailable)
	b.refuses(t, key, fault.Unavailable)
	if n := iss.Count().Unauthorized; n != 2 {
		t.Errorf("%d refused requests at the issuer, want 2", n)
	}
}
