package rp_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

// The modules of the plan Dynamic that take a whole server: what a client
// registers about itself and people see, and the operator's rotation of keys.
func TestOIDCCDynamic(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	const callback = "https://suite.example/callback"
	register := func(t *testing.T, member, value string) (clientID, clientSecret string) {
		t.Helper()
		body, _ := json.Marshal(map[string]any{"redirect_uris": []string{callback}, member: value})
		resp, err := http.Post(s.Issuer+"/connect/register", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var made map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || resp.StatusCode != http.StatusCreated || made[member] != value {
			t.Fatalf("registration: %d, %v, %v", resp.StatusCode, made, err)
		}
		clientID, _ = made["client_id"].(string)
		clientSecret, _ = made["client_secret"].(string)
		return clientID, clientSecret
	}

	for module, c := range map[string]struct{ member, shown string }{
		"oidcc-registration-logo-uri":   {"logo_uri", `src="%"`},
		"oidcc-registration-policy-uri": {"policy_uri", `href="%"`},
		"oidcc-registration-tos-uri":    {"tos_uri", `href="%"`},
	} {
		t.Run(module, func(t *testing.T) {
			address := "https://suite.example/" + c.member
			clientID, _ := register(t, c.member, address)
			b := s.NewBrowser()
			login, err := b.Open(t.Context(), "/authorize?"+url.Values{
				"client_id": {clientID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"}, "nonce": {"n"},
			}.Encode())
			if err != nil || !login.Has("login") {
				t.Fatalf("%v: %v", err, login)
			}
			ada := s.User(t, demo.Admin)
			consent, err := b.SignIn(t.Context(), login, ada.Email, ada.Password)
			if err != nil || !consent.Has("allow") {
				t.Fatalf("%v: %v", err, consent)
			}
			for name, page := range map[string]*stack.Page{"sign-in": login, "consent": consent} {
				if !strings.Contains(string(page.Body), strings.ReplaceAll(c.shown, "%", address)) {
					t.Errorf("the page of %s does not show %s", name, address)
				}
				if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "img-src 'self' data: https:;") {
					t.Errorf("the browser may not load a logo: %s", csp)
				}
			}
		})
	}

	t.Run("oidcc-server-rotate-keys", func(t *testing.T) {
		clientID, clientSecret := register(t, "client_name", "Suite")
		provider, err := oidc.NewProvider(t.Context(), s.Issuer)
		if err != nil {
			t.Fatal(err)
		}
		client := oauth2.Config{ClientID: clientID, ClientSecret: clientSecret, Endpoint: provider.Endpoint(), RedirectURL: callback, Scopes: []string{oidc.ScopeOpenID}}
		b, ada := s.NewBrowser(), s.User(t, demo.Admin)
		// signIn returns an ID token, which has to verify, and the key that signed it.
		verifier := provider.Verifier(&oidc.Config{ClientID: clientID})
		signIn := func() (raw, kid string) {
			t.Helper()
			page, err := b.Open(t.Context(), client.AuthCodeURL("s", oidc.Nonce("n")))
			if err == nil && page.Has("login") {
				page, err = b.SignIn(t.Context(), page, ada.Email, ada.Password)
			}
			if err == nil && page.Has("allow") {
				page, err = b.Press(t.Context(), page, "allow")
			}
			if err != nil || page.Left == nil {
				t.Fatalf("%v: %v", err, page)
			}
			tokens, err := client.Exchange(t.Context(), page.Left.Query().Get("code"))
			if err != nil {
				t.Fatal(err)
			}
			raw, _ = tokens.Extra("id_token").(string)
			if _, err := verifier.Verify(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
			return raw, keyOf(t, raw)
		}
		before := published(t, s)
		old, oldKey := signIn()
		if !slices.Contains(before, oldKey) {
			t.Fatalf("%s is not among %v", oldKey, before)
		}
		if out, err := s.Operate(t.Context(), "keys", "rotate", "--now"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var newKey string
		for deadline := time.Now().Add(3 * time.Minute); newKey == "" || newKey == oldKey; _, newKey = signIn() {
			if time.Now().After(deadline) {
				t.Fatal("the new key does not sign")
			}
		}
		after := published(t, s)
		for _, kid := range append(before, newKey) {
			if !slices.Contains(after, kid) {
				t.Errorf("%s is not published any more: %v", kid, after)
			}
		}
		if slices.Contains(before, newKey) {
			t.Errorf("%s is no new key", newKey)
		}
		fresh, err := oidc.NewProvider(t.Context(), s.Issuer) // without a key of before in its cache
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fresh.Verifier(&oidc.Config{ClientID: clientID}).Verify(t.Context(), old); err != nil {
			t.Errorf("a token of before the rotation: %v", err)
		}
	})
}

// published are the ids of the keys that the server publishes.
func published(t *testing.T, s *stack.Stack) (ids []string) {
	t.Helper()
	resp, err := http.Get(s.Issuer + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var set struct {
		Keys []struct{ Kid string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		ids = append(ids, key.Kid)
	}
	return ids
}

// keyOf is the id of the key that signed a token.
func keyOf(t *testing.T, token string) string {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Header.KeyID
}
