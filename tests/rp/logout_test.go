package rp_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/net/html"
	"golang.org/x/oauth2"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

// party is a relying party that hears of sign-outs both ways.
type party struct {
	*httptest.Server
	oauth2.Config
	verifier *oidc.IDTokenVerifier
	deaf     atomic.Bool // the next logout token gets a 503
	told     chan told
	framed   chan string // the query by which a frame was loaded
}

// told is a logout token that go-oidc has verified.
type told struct {
	Subject string                     `json:"sub"`
	SID     string                     `json:"sid"`
	Events  map[string]json.RawMessage `json:"events"`
	Nonce   *string                    `json:"nonce"`
	JTI     string                     `json:"jti"`
}

// joinIn registers the party at the stack's authserver.
func joinIn(t *testing.T, s *stack.Stack) *party {
	t.Helper()
	p := &party{told: make(chan told, 10), framed: make(chan string, 10)}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /back", p.hear)
	routes.HandleFunc("GET /front", func(_ http.ResponseWriter, r *http.Request) { p.framed <- r.URL.RawQuery })
	p.Server = httptest.NewServer(routes)
	t.Cleanup(p.Close)
	provider, err := oidc.NewProvider(t.Context(), s.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
		Back   string `json:"backchannel_logout_uri"`
	}
	body, _ := json.Marshal(map[string]any{
		"client_name": "Party", "redirect_uris": []string{p.URL + "/callback"}, "post_logout_redirect_uris": []string{p.URL + "/bye"},
		"backchannel_logout_uri": p.URL + "/back", "backchannel_logout_session_required": true,
		"frontchannel_logout_uri": p.URL + "/front", "frontchannel_logout_session_required": true,
	})
	resp, err := http.Post(s.Issuer+"/connect/register", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || resp.StatusCode != http.StatusCreated || made.Back == "" {
		t.Fatalf("registration: %d, %+v, %v", resp.StatusCode, made, err)
	}
	p.Config = oauth2.Config{
		ClientID: made.ID, ClientSecret: made.Secret, Endpoint: provider.Endpoint(), RedirectURL: p.URL + "/callback", Scopes: []string{oidc.ScopeOpenID},
	}
	p.verifier = provider.Verifier(&oidc.Config{ClientID: made.ID})
	return p
}

// hear is the back channel.
func (p *party) hear(w http.ResponseWriter, r *http.Request) {
	if p.deaf.CompareAndSwap(true, false) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var one told
	token, err := p.verifier.Verify(r.Context(), r.PostFormValue("logout_token"))
	if err == nil {
		err = token.Claims(&one)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.told <- one
}

// signIn takes a person through the code flow and returns the ID token and its sid.
func (p *party) signIn(t *testing.T, b *stack.Browser, user demo.User) (raw, sid string) {
	t.Helper()
	page, err := b.Open(t.Context(), p.AuthCodeURL("state", oidc.Nonce("nonce")))
	if err == nil && page.Has("login") {
		page, err = b.SignIn(t.Context(), page, user.Email, user.Password)
	}
	if err == nil && page.Has("allow") {
		page, err = b.Press(t.Context(), page, "allow")
	}
	if err != nil || page.Left == nil {
		t.Fatalf("sign-in: %v, %+v", err, page)
	}
	tokens, err := p.Exchange(t.Context(), page.Left.Query().Get("code"))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ = tokens.Extra("id_token").(string)
	token, err := p.verifier.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ SID string }
	if err := token.Claims(&claims); err != nil || claims.SID == "" {
		t.Fatalf("sid: %q, %v", claims.SID, err)
	}
	return raw, claims.SID
}

func (p *party) expect(t *testing.T, user demo.User, sid string) {
	t.Helper()
	select {
	case one := <-p.told:
		event, known := one.Events["http://schemas.openid.net/event/backchannel-logout"]
		if one.Subject != user.ID || one.SID != sid || !known || string(event) != "{}" || len(one.Events) != 1 || one.Nonce != nil || one.JTI == "" {
			t.Errorf("told %+v of %s", one, sid)
		}
	case <-time.After(3 * time.Minute):
		t.Fatalf("nobody told of %s", sid)
	}
}

func TestLogoutReachesARelyingParty(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	p, ada := joinIn(t, s), s.User(t, demo.Admin)
	b := s.NewBrowser()
	token, sid := p.signIn(t, b, ada)
	p.deaf.Store(true) // the first attempt fails, and another follows
	page, err := b.Open(t.Context(), s.Issuer+"/logout?"+url.Values{
		"id_token_hint": {token}, "post_logout_redirect_uri": {p.URL + "/bye"}, "state": {"s"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := page.Header.Get("Refresh"), "1; url="+p.URL+"/bye?state=s"; got != want {
		t.Errorf("Refresh is %q, want %q", got, want)
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-src "+p.URL+";") {
		t.Errorf("the policy keeps the frame away: %s", csp)
	}
	p.loadFrames(t, page)
	select {
	case query := <-p.framed:
		if want := (url.Values{"iss": {s.Issuer}, "sid": {sid}}).Encode(); query != want {
			t.Errorf("the frame has %q, want %q", query, want)
		}
	default:
		t.Error("no frame")
	}
	p.expect(t, ada, sid)

	// Signed out by an operator, whose program holds no keys.
	mia := s.User(t, demo.Member)
	_, sid = p.signIn(t, s.NewBrowser(), mia)
	if out, err := s.Operate(t.Context(), "user", "disable", mia.Email); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.expect(t, mia, sid)
}

// loadFrames does what a browser does with the frames of a page.
func (p *party) loadFrames(t *testing.T, page *stack.Page) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page.Body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "iframe" {
			continue
		}
		for _, a := range n.Attr {
			if a.Key != "src" {
				continue
			}
			resp, err := http.Get(a.Val)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
	}
}
