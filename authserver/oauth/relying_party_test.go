package oauth

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	relyingparty "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"larder/authserver/oidc"
)

// A relying party that others wrote finds us by discovery, signs a person in,
// refreshes, asks who it is, and signs out again; once for each algorithm that
// it may have registered for its ID tokens.
func TestRelyingPartySignsInRefreshesAndSignsOut(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.addUser("Ada")
	for _, alg := range h.keys.Algorithms() {
		h.addClient("rp-"+alg, webSecret, oidc.Metadata{
			GrantTypes: []string{oidc.AuthorizationCode, oidc.RefreshToken}, RedirectURIs: []string{webRedirect},
			PostLogoutRedirectURIs: []string{webBye}, Scope: "openid profile email lists:read", Resources: []string{testAPI},
			IDTokenSignedAlg: alg,
		})
		t.Run(alg, func(t *testing.T) { h.signInAndOut(t, "rp-"+alg, ada) })
	}
}

func (h *harness) signInAndOut(t *testing.T, clientID string, person oidc.User) {
	t.Helper()
	ctx := relyingparty.ClientContext(t.Context(), h.browser())
	provider, err := relyingparty.NewProvider(ctx, h.issuer)
	if err != nil {
		t.Fatal(err)
	}
	rp := oauth2.Config{
		ClientID: clientID, ClientSecret: webSecret, Endpoint: provider.Endpoint(), RedirectURL: webRedirect,
		Scopes: []string{relyingparty.ScopeOpenID, "profile", "email", "lists:read"},
	}
	verifier := oauth2.GenerateVerifier()
	browser := h.browser()

	parked := h.get(browser, rp.AuthCodeURL("the state", relyingparty.Nonce("the nonce"), oauth2.S256ChallengeOption(verifier)))
	flowID := flowOf(t, parked, "/login")
	login := h.signIn(browser, person.ID)
	back := callback(t, h.get(browser, "/authorize/continue?flow="+flowID), webRedirect)
	if back.Get("state") != "the state" || back.Get("iss") != h.issuer {
		t.Fatalf("callback %v", back)
	}
	tokens, err := rp.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	first := verifyIDToken(ctx, t, provider, clientID, tokens)
	if first.Nonce != "the nonce" || first.Subject != person.ID.String() {
		t.Errorf("ID token with nonce %q and sub %q", first.Nonce, first.Subject)
	}
	if err := first.VerifyAccessToken(tokens.AccessToken); err != nil {
		t.Error(err)
	}

	refreshed, err := rp.TokenSource(ctx, &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
	if err != nil {
		t.Fatal(err)
	}
	if again := verifyIDToken(ctx, t, provider, clientID, refreshed); again.Subject != first.Subject || refreshed.RefreshToken == tokens.RefreshToken {
		t.Errorf("refreshed for %q; same refresh token: %t", again.Subject, refreshed.RefreshToken == tokens.RefreshToken)
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(refreshed))
	if err != nil {
		t.Fatal(err)
	}
	if info.Subject != person.ID.String() || info.Email != person.Email || !info.EmailVerified {
		t.Errorf("userinfo %+v", info)
	}

	h.signOut(t, provider, browser, refreshed, login.SID)
	if _, err := rp.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshed.RefreshToken}).Token(); err == nil {
		t.Error("a refresh token without offline_access outlives the session")
	}
	if _, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(refreshed)); err == nil {
		t.Error("an access token outlives the session")
	}
}

func verifyIDToken(ctx context.Context, t *testing.T, provider *relyingparty.Provider, clientID string, tokens *oauth2.Token) *relyingparty.IDToken {
	t.Helper()
	raw, _ := tokens.Extra("id_token").(string)
	token, err := provider.Verifier(&relyingparty.Config{ClientID: clientID}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// signOut goes to the end_session_endpoint that discovery names, and on to the
// next sign-in, which must ask again.
func (h *harness) signOut(t *testing.T, provider *relyingparty.Provider, browser *http.Client, tokens *oauth2.Token, sid string) {
	t.Helper()
	var endpoints struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&endpoints); err != nil {
		t.Fatal(err)
	}
	hint, _ := tokens.Extra("id_token").(string)
	q := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {webBye}, "state": {"bye"}}
	expectRedirect(t, "logout", h.get(browser, endpoints.EndSession+"?"+q.Encode()), webBye+"?state=bye")
	if h.sessions.lives(sid) {
		t.Error("the session lives on")
	}
}

// The confirmation page waits when a relying party of somebody else's session
// asks: two people share the browser of a kitchen tablet.
func TestSignedInPersonIsNotSignedOutByAnothersRelyingParty(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addWeb()
	ada, bea := h.addUser("Ada"), h.addUser("Bea")
	browser := h.browser()
	old := h.signIn(browser, ada.ID)
	now := h.signIn(browser, bea.ID)
	page := h.get(browser, logoutURL("id_token_hint", h.idToken(old, "web"), "post_logout_redirect_uri", webBye))
	expectPage(t, "Ada's hint", page, http.StatusOK, "confirm page")
	if !h.sessions.lives(now.SID) {
		t.Error("Bea was signed out")
	}
}
