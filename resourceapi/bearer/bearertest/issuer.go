// Package bearertest stands in for the authorization server in tests, which is
// outside the grocery API: a real HTTP server that speaks discovery, JWKS,
// introspection and the revocation feed, and signs access tokens.
//
//	iss := bearertest.New(t, "http://api.test", time.Now)
//	gate, err := bearer.New(iss.Config(), time.Now, log, registry)
//	r.Header.Set("Authorization", "Bearer "+iss.UserToken("ann", "lists:read"))
package bearertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/internal/id"
	"larder/internal/revocation"
	"larder/internal/secret"
	"larder/resourceapi/bearer"
)

const (
	clientID     = "grocery api"      // the blank has to be form-encoded
	clientSecret = "not a secret: /+" //nolint:gosec // it guards nothing but this stand-in
	tokenLife    = time.Hour          // longer than in life, for the longest test on the slowest machine
)

// Claims are the members of a token; nil deletes one that is there by default.
type Claims map[string]any

// Count is what the issuer was asked for so far.
type Count struct {
	Discovery, JWKS, Introspection, Revocations, Unauthorized int
}

// Issuer is the stand-in. Its methods may be called at any time.
type Issuer struct {
	URL      string
	Resource string

	t      testing.TB
	now    func() time.Time
	server *httptest.Server

	mu           sync.Mutex
	signers      map[string]crypto.Signer // by kid
	active       string
	maxAge       string
	down         map[string]bool // by path; "" for all
	delay        time.Duration
	held         chan struct{} // closed when answers may come; nil for at once
	introspected map[string]Claims
	revocations  []revocation.Entry
	count        Count
	document     Claims
}

// New starts an issuer that lives as long as the test, and signs tokens for
// resource.
func New(t testing.TB, resource string, now func() time.Time) *Issuer {
	t.Helper()
	i := &Issuer{
		Resource: resource, t: t, now: now, signers: map[string]crypto.Signer{}, maxAge: "max-age=600",
		down: map[string]bool{}, introspected: map[string]Claims{}, document: Claims{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", i.serveDiscovery)
	mux.HandleFunc("GET /jwks", i.serveJWKS)
	mux.HandleFunc("POST /introspect", i.serveIntrospection)
	mux.HandleFunc("GET /revocations", i.serveRevocations)
	i.server = httptest.NewServer(i.gate(mux))
	t.Cleanup(i.server.Close)
	i.URL = i.server.URL
	i.Rotate()
	return i
}

// Config is what a gate needs to trust this issuer.
func (i *Issuer) Config() bearer.Config {
	return bearer.Config{
		Issuer: i.URL, Resource: i.Resource, ClientID: clientID, ClientSecret: secret.String(clientSecret),
		Scopes: []string{"lists:read", "lists:write"},
	}
}

// Rotate publishes a new ES256 key, signs with it from now on, and returns its
// kid. Older keys stay published until Withdraw.
func (i *Issuer) Rotate() string {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	return i.Publish(key)
}

// Publish publishes key and signs with it from now on.
func (i *Issuer) Publish(key crypto.Signer) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	kid := rand.Text()
	i.signers[kid], i.active = key, kid
	return kid
}

// Withdraw stops publishing a key.
func (i *Issuer) Withdraw(kid string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.signers, kid)
}

// Key returns the active key and its kid.
func (i *Issuer) Key() (string, crypto.Signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.active, i.signers[i.active]
}

// SetCacheControl sets the Cache-Control of the key set.
func (i *Issuer) SetCacheControl(value string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.maxAge = value
}

// SetDocument changes members of the discovery document.
func (i *Issuer) SetDocument(members Claims) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.document = members
}

// SetDown has a path, or everything with "", answer 500, or serve again.
func (i *Issuer) SetDown(path string, down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down[path] = down
}

// SetDelay has every answer come so much later.
func (i *Issuer) SetDelay(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.delay = d
}

// Hold keeps every answer back until release.
func (i *Issuer) Hold() (release func()) {
	held := make(chan struct{})
	i.mu.Lock()
	defer i.mu.Unlock()
	i.held = held
	return func() { close(held) }
}

// Count returns what the issuer was asked for so far.
func (i *Issuer) Count() Count {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.count
}

// UserToken signs an access token for a user.
func (i *Issuer) UserToken(subject string, scopes ...string) string {
	return i.Token(Claims{"sub": subject, "scope": strings.Join(scopes, " ")})
}

// AppToken signs an access token of a client that acts for itself.
func (i *Issuer) AppToken(client string, scopes ...string) string {
	return i.Token(Claims{"sub": client, "client_id": client, "scope": strings.Join(scopes, " "), "auth_time": nil, "acr": nil, "sid": nil, "grant_id": nil})
}

// Token signs an access token with the default claims changed by c.
func (i *Issuer) Token(c Claims) string {
	kid, key := i.Key()
	return Sign(i.t, key, Claims{"typ": "at+jwt", "kid": kid}, i.Claims(c))
}

// Claims returns the default claims of an access token changed by c.
func (i *Issuer) Claims(c Claims) Claims {
	now := i.now()
	claims := Claims{
		"iss": i.URL, "aud": i.Resource, "sub": "0198c1f0-0000-7000-8000-000000000001", "client_id": "web",
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "jti": rand.Text(), "sid": rand.Text(), "grant_id": rand.Text(),
		"scope": "lists:read lists:write", "auth_time": now.Unix(), "acr": "urn:larder:password",
	}
	return merged(claims, c)
}

// Sign makes a compact JWS of any header and claims with key, whose type gives
// the alg.
func Sign(t testing.TB, key any, header, claims Claims) string {
	t.Helper()
	alg := jose.EdDSA
	switch key.(type) {
	case *ecdsa.PrivateKey:
		alg = jose.ES256
	case []byte:
		alg = jose.HS256
	case interface{ Size() int }: // *rsa.PrivateKey
		alg = jose.RS256
	}
	options := &jose.SignerOptions{}
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// APIKey makes an API key of a family and returns it with its id.
func (i *Issuer) APIKey(family id.ID, scopes ...string) (key, keyID string) {
	keyID = id.New().String()
	key = NewAPIKey()
	i.Introspect(key, Claims{
		"active": true, "token_type": "api_key", "iss": i.URL, "aud": i.Resource, "sub": id.New().String(),
		"scope": strings.Join(scopes, " "), "iat": i.now().Unix(), "jti": keyID, "api_key_id": keyID, "family_id": family.String(),
	})
	return key, keyID
}

// PersonalKey makes an API key of a person's own and returns it with its id.
func (i *Issuer) PersonalKey(person string, family id.ID, scopes ...string) (key, keyID string) {
	keyID = id.New().String()
	key = NewAPIKey()
	i.Introspect(key, Claims{
		"active": true, "token_type": "api_key", "iss": i.URL, "aud": i.Resource, "sub": person,
		"scope": strings.Join(scopes, " "), "iat": i.now().Unix(), "jti": keyID, "personal_key_id": keyID, "family_id": family.String(),
	})
	return key, keyID
}

// NewAPIKey returns a well-formed API key that nobody knows.
func NewAPIKey() string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := "lrd_live_" + (rand.Text() + rand.Text())[:30]
	n := crc32.ChecksumIEEE([]byte(body))
	sum := make([]byte, 6)
	for i := range sum {
		sum[5-i] = alphabet[n%62]
		n /= 62
	}
	return body + string(sum)
}

// Introspect sets the introspection answer for a credential.
func (i *Issuer) Introspect(credential string, answer Claims) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.introspected[credential] = answer
}

// Revoke puts an entry into the feed; for an API key, introspection says
// inactive from now on too.
func (i *Issuer) Revoke(kind, value string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	i.revocations = append(i.revocations, revocation.Entry{Kind: kind, Value: value, RevokedAt: now, ExpiresAt: now.Add(time.Hour)})
	for _, answer := range i.introspected {
		if kind == revocation.APIKey && answer["api_key_id"] == value {
			answer["active"] = false
		}
	}
}

// gate counts, delays and refuses.
func (i *Issuer) gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		delay, held, down := i.delay, i.held, i.down[""] || i.down[r.URL.Path]
		switch r.URL.Path {
		case "/jwks":
			i.count.JWKS++
		case "/introspect":
			i.count.Introspection++
		case "/revocations":
			i.count.Revocations++
		default:
			i.count.Discovery++
		}
		i.mu.Unlock()
		time.Sleep(delay)
		if held != nil {
			<-held
		}
		if down {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (i *Issuer) authenticated(w http.ResponseWriter, r *http.Request) bool {
	// Both parts are form-encoded before they go into Basic (RFC 6749 §2.3.1).
	user, password, _ := r.BasicAuth()
	if user == "grocery+api" && password == "not+a+secret%3A+%2F%2B" {
		return true
	}
	i.mu.Lock()
	i.count.Unauthorized++
	i.mu.Unlock()
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

func (i *Issuer) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	document := merged(Claims{"issuer": i.URL, "jwks_uri": i.URL + "/jwks", "introspection_endpoint": i.URL + "/introspect"}, i.document)
	i.mu.Unlock()
	i.answer(w, document)
}

func (i *Issuer) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	var set jose.JSONWebKeySet
	i.mu.Lock()
	w.Header().Set("Cache-Control", i.maxAge)
	for kid, key := range i.signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"})
	}
	i.mu.Unlock()
	i.answer(w, set)
}

func (i *Issuer) serveIntrospection(w http.ResponseWriter, r *http.Request) {
	if !i.authenticated(w, r) {
		return
	}
	i.mu.Lock()
	answer := maps.Clone(i.introspected[r.PostFormValue("token")])
	i.mu.Unlock()
	if answer == nil || answer["active"] == false {
		answer = Claims{"active": false}
	}
	i.answer(w, answer)
}

func (i *Issuer) serveRevocations(w http.ResponseWriter, r *http.Request) {
	if !i.authenticated(w, r) {
		return
	}
	var since time.Time
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	i.mu.Lock()
	entries := slices.Clone(i.revocations)
	i.mu.Unlock()
	asOf := since
	entries = slices.DeleteFunc(entries, func(e revocation.Entry) bool { return !e.RevokedAt.After(since.Add(-10 * time.Second)) })
	for _, e := range entries {
		if e.RevokedAt.After(asOf) {
			asOf = e.RevokedAt
		}
	}
	i.answer(w, map[string]any{"as_of": asOf, "entries": entries})
}

func (i *Issuer) answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		i.t.Error(err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, "%s", body)
}

func merged(claims, changes Claims) Claims {
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}
