package rp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

func TestGoOIDC(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, s.Issuer)
	if err != nil {
		t.Fatalf("discovery: %v", err)
	}
	web := s.Demo.Clients.Web
	client := oauth2.Config{
		ClientID: web.ID, ClientSecret: web.Secret, Endpoint: provider.Endpoint(), RedirectURL: web.RedirectURIs[0],
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess, "lists:read"},
	}
	verifier := oauth2.GenerateVerifier()
	address := client.AuthCodeURL("the state", oidc.Nonce("the nonce"), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", s.API))
	ada := s.User(t, demo.Admin)
	back := browse(t, s, ada, address)
	if got := back.Query().Get("state"); got != "the state" {
		t.Fatalf("state is %q in %s", got, back)
	}
	token, err := client.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatalf("exchange: %v", err)
	}
	raw, _ := token.Extra("id_token").(string)
	idToken, err := provider.Verifier(&oidc.Config{ClientID: web.ID}).Verify(ctx, raw)
	if err != nil {
		t.Fatalf("ID token: %v", err)
	}
	if idToken.Nonce != "the nonce" || idToken.Subject != ada.ID {
		t.Errorf("the ID token has nonce %q and sub %q", idToken.Nonce, idToken.Subject)
	}
	if err := idToken.VerifyAccessToken(token.AccessToken); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != ada.ID || info.Email != ada.Email {
		t.Errorf("userinfo: %+v, %v", info, err)
	}
	old := *token
	old.Expiry = time.Unix(1, 0) // makes the source refresh
	fresh, err := client.TokenSource(ctx, &old).Token()
	if err != nil || fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken {
		t.Fatalf("refresh: %v; tokens have to change", err)
	}
	resp, err := s.Call(ctx, fresh.AccessToken, http.MethodGet, "/v1/families/"+s.Demo.FamilyID+"/lists", "")
	if err != nil || resp.Status != http.StatusOK {
		t.Errorf("the API with the fresh token: %v, %v", resp, err)
	}
}

func TestGoClientCredentials(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	machine := s.Demo.Clients.Machine
	config := clientcredentials.Config{
		ClientID: machine.ID, ClientSecret: machine.Secret, TokenURL: s.Issuer + "/token", Scopes: []string{"family:read"},
		EndpointParams: url.Values{"resource": {s.API}},
	}
	token, err := config.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if token.RefreshToken != "" || !strings.EqualFold(token.TokenType, "Bearer") {
		t.Errorf("the response has refresh token %q and type %q", token.RefreshToken, token.TokenType)
	}
	if scope := token.Extra("scope"); scope != "family:read" {
		t.Errorf("scope is %v", scope)
	}
	resp, err := s.Call(t.Context(), token.AccessToken, http.MethodGet, "/v1/families/"+s.Demo.FamilyID, "")
	if err != nil || resp.Status != http.StatusOK {
		t.Errorf("the API: %v, %v", resp, err)
	}
}

// browse takes a person's browser through an authorization request and returns where it was sent back to.
func browse(t *testing.T, s *stack.Stack, user demo.User, address string) *url.URL {
	t.Helper()
	b := s.NewBrowser()
	page, err := b.Open(t.Context(), address)
	if err == nil && page.Has("login") {
		page, err = b.SignIn(t.Context(), page, user.Email, user.Password)
	}
	if err == nil && page.Has("allow") {
		page, err = b.Press(t.Context(), page, "allow")
	}
	if err != nil {
		t.Fatal(err)
	}
	if page.Left == nil {
		t.Fatalf("the browser was not sent back: %v", page.Response)
	}
	return page.Left
}
