package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/pgtest"
	"larder/internal/secret"
	"larder/internal/web"
)

// testClock is the time when the test began, moved: it stands still, so that
// however slow the machine, no second turns by itself.
type testClock struct {
	began time.Time
	ahead atomic.Int64
}

func (c *testClock) Now() time.Time          { return c.began.Add(time.Duration(c.ahead.Load())) }
func (c *testClock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

type testClients struct {
	mu   sync.Mutex
	byID map[string]*oidc.Client
}

func (c *testClients) set(client *oidc.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[client.ID] = client
}

func (c *testClients) Client(_ context.Context, clientID string) (*oidc.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	client, ok := c.byID[clientID]
	if !ok || client.Disabled {
		return nil, fault.New(fault.NotFound, "no such client")
	}
	return client, nil
}

// Secrets lie open in this stand-in.
func (*testClients) Secrets(_ context.Context, client *oidc.Client) ([]secret.String, error) {
	var values []secret.String
	for _, value := range client.SealedSecrets {
		values = append(values, secret.String(value))
	}
	return values, nil
}

// testKeys signs with one key per algorithm, as keys.Keys does.
type testKeys struct {
	byAlg map[string]jose.JSONWebKey
	mac   [][]byte
	jwks  []byte
}

// rsaPair is made once: it takes longer than everything else in a test.
var rsaPair = sync.OnceValues(func() (a, b *rsa.PrivateKey) {
	a, errA := rsa.GenerateKey(rand.Reader, 2048)
	b, errB := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(errA, errB); err != nil {
		panic(err)
	}
	return a, b
})

// testRSA is one of two RSA keys.
func testRSA(i int) *rsa.PrivateKey {
	a, b := rsaPair()
	return [...]*rsa.PrivateKey{a, b}[i]
}

func newTestKeys(t testing.TB) *testKeys {
	t.Helper()
	k := &testKeys{byAlg: map[string]jose.JSONWebKey{}, mac: [][]byte{make([]byte, 32)}}
	_, _ = rand.Read(k.mac[0])
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, ps := testRSA(0), testRSA(1)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	for _, key := range []struct {
		alg string
		key crypto.Signer
	}{{"ES256", ec}, {"RS256", rs}, {"EdDSA", ed}, {"PS256", ps}} {
		jwk := jose.JSONWebKey{Key: key.key, KeyID: rand.Text(), Algorithm: key.alg, Use: "sig"}
		k.byAlg[key.alg] = jwk
		set.Keys = append(set.Keys, jwk.Public())
	}
	if k.jwks, err = json.Marshal(set); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *testKeys) Sign(_ context.Context, alg, typ string, payload []byte) (string, error) {
	return signWith(k.byAlg[alg], typ, payload)
}

func signWith(key jose.JSONWebKey, typ string, payload []byte) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

func (k *testKeys) Verify(token string, typ ...string) (payload []byte, alg string, err error) {
	bad := fault.New(fault.Unauthenticated, "bad token")
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA, jose.PS256})
	if err != nil {
		return nil, "", bad
	}
	header := jws.Signatures[0].Protected
	got, _ := header.ExtraHeaders[jose.HeaderType].(string)
	if header.JSONWebKey != nil || !slices.Contains(typ, got) {
		return nil, "", bad
	}
	for key := range maps.Values(k.byAlg) {
		if key.KeyID == header.KeyID && key.Algorithm == header.Algorithm {
			if payload, err = jws.Verify(key.Public().Key); err == nil {
				return payload, key.Algorithm, nil
			}
		}
	}
	return nil, "", bad
}

func (k *testKeys) JWKS() []byte            { return k.jwks }
func (*testKeys) Algorithms() []string      { return []string{"ES256", "RS256", "EdDSA", "PS256"} }
func (k *testKeys) MACKeys(string) [][]byte { return k.mac }

const testSessionCookie = "larder-session"

type testSessions struct {
	mu       sync.Mutex
	byCookie map[string]oidc.Login
	down     error // what Current answers, if not nil
}

func (s *testSessions) add(login oidc.Login) (cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cookie = rand.Text()
	s.byCookie[cookie] = login
	return cookie
}

func (s *testSessions) Current(r *http.Request) (*oidc.Login, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return nil, s.down
	}
	if c, err := r.Cookie(testSessionCookie); err == nil {
		if login, ok := s.byCookie[c.Value]; ok {
			return &login, nil
		}
	}
	return nil, nil //nolint:nilnil // as the real one: nobody is signed in
}

func (s *testSessions) End(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, err := r.Cookie(testSessionCookie); err == nil {
		delete(s.byCookie, c.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: testSessionCookie, Path: "/", MaxAge: -1})
	return nil
}

func (s *testSessions) EndSID(_ context.Context, sid string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.byCookie, func(_ string, login oidc.Login) bool { return login.SID == sid })
	return nil
}

func (s *testSessions) lives(sid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, login := range s.byCookie {
		if login.SID == sid {
			return true
		}
	}
	return false
}

// testConsents covers everything unless asked to wait for consent. What it
// covers lies in auth.consents, where grants look for it.
type testConsents struct {
	db      *pgtest.DB
	missing atomic.Bool
}

func (c *testConsents) Covered(ctx context.Context, user id.ID, clientID string, scopes, resources []string) (bool, error) {
	if c.missing.Load() {
		return false, nil
	}
	err := c.grant(ctx, user, clientID, scopes, resources)
	return err == nil, err
}

func (c *testConsents) grant(ctx context.Context, user id.ID, clientID string, scopes, resources []string) error {
	_, err := c.db.Owner.Exec(ctx, `INSERT INTO auth.consents (user_id, client_id, scopes, resources) VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, user, clientID, scopes, resources)
	return err
}

// agrees is what a page does before it approves.
func (h *harness) agrees(user id.ID, clientID string) {
	h.t.Helper()
	if err := h.consents.grant(h.t.Context(), user, clientID, []string{}, []string{}); err != nil {
		h.t.Fatal(err)
	}
}

type testUsers struct {
	mu   sync.Mutex
	byID map[id.ID]oidc.User
}

func (u *testUsers) set(user oidc.User) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.byID[user.ID] = user
}

func (u *testUsers) User(_ context.Context, subject id.ID) (*oidc.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user, ok := u.byID[subject]
	if !ok {
		return nil, fault.New(fault.NotFound, "no such user")
	}
	return &user, nil
}

func (u *testUsers) ByEmail(_ context.Context, address string) (*oidc.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, user := range u.byID {
		if user.Email == address {
			return &user, nil
		}
	}
	return nil, fault.New(fault.NotFound, "no such user")
}

type testAPIKeys struct{ byKey map[string]oidc.APIKey }

func (k *testAPIKeys) Introspect(_ context.Context, key, _ string) (*oidc.APIKey, error) {
	found, ok := k.byKey[key]
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "no such key")
	}
	return &found, nil
}

func (k *testAPIKeys) Revoke(_ context.Context, keyID id.ID, _ audit.Actor) error {
	maps.DeleteFunc(k.byKey, func(_ string, key oidc.APIKey) bool { return key.ID == keyID })
	return nil
}

type testFlow struct {
	req      oidc.AuthRequest
	approved string
	denied   bool
}

type testFlows struct {
	mu   sync.Mutex
	byID map[string]*testFlow
}

func (f *testFlows) Begin(_ context.Context, _ http.ResponseWriter, _ *http.Request, req oidc.AuthRequest) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	flowID := rand.Text()
	f.byID[flowID] = &testFlow{req: req}
	return flowID, nil
}

func (f *testFlows) Resume(_ context.Context, _ *http.Request, flowID string) (*oidc.AuthRequest, string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	flow, ok := f.byID[flowID]
	if !ok {
		return nil, "", false, fault.New(fault.NotFound, "no such flow")
	}
	req := flow.req
	return &req, flow.approved, flow.denied, nil
}

func (f *testFlows) Finish(_ context.Context, flowID string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, first := f.byID[flowID]
	delete(f.byID, flowID)
	return first, nil
}

// decide does what the consent page would do.
func (f *testFlows) decide(flowID, sid string, deny bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byID[flowID].approved, f.byID[flowID].denied = sid, deny
}

// testPages writes in one line what a page would show.
type testPages struct{}

func (*testPages) Error(w http.ResponseWriter, _ *http.Request, err error) {
	message := "something went wrong"
	if shown, ok := errors.AsType[*fault.Error](err); ok {
		message = shown.Message
	}
	web.SetRetryAfter(w, err)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(web.Status(err))
	_, _ = fmt.Fprintf(w, "error page: %s", html.EscapeString(message))
}

func (*testPages) ConfirmLogout(w http.ResponseWriter, _ *http.Request, clientName string, hidden map[string]string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "confirm page: %s %s", html.EscapeString(clientName), html.EscapeString(fmt.Sprint(hidden)))
}

func (*testPages) LoggedOut(w http.ResponseWriter, _ *http.Request, page oidc.LoggedOut) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "logged-out page: %s %s", html.EscapeString(page.ClientName), html.EscapeString(page.ReturnURI))
	for _, frame := range page.Frames {
		_, _ = fmt.Fprintf(w, "\nframe %s", html.EscapeString(frame))
	}
	if page.Onward {
		_, _ = fmt.Fprint(w, "\nonward")
	}
}

func (*testPages) FormPost(w http.ResponseWriter, _ *http.Request, response oidc.FormPost) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, "form page in %v: <form method=\"post\" action=\"%s\">", response.UILocales, html.EscapeString(response.URI))
	for name := range response.Parameters {
		_, _ = fmt.Fprintf(w, "\n<input type=\"hidden\" name=\"%s\" value=\"%s\">", name, html.EscapeString(response.Parameters.Get(name)))
	}
	return nil
}
