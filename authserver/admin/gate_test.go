package admin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"larder/authserver/admin"
	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

// issued stands for the tokens, people and clients that others keep.
type issued struct {
	token oidc.AccessToken
	users map[string]oidc.User
}

func (i issued) VerifyAccessToken(context.Context, string, string) (*oidc.AccessToken, error) {
	return &i.token, nil
}

func (i issued) User(_ context.Context, subject id.ID) (*oidc.User, error) {
	if u, ok := i.users[subject.String()]; ok {
		return &u, nil
	}
	return nil, fault.New(fault.NotFound, "no such user")
}

func (issued) Client(context.Context, string) (*oidc.Client, error) {
	return nil, fault.New(fault.NotFound, "no such client")
}

// A password is not enough for the admin API, whatever scope the token has, and the challenge says what is (RFC 9470).
func TestOperatorsNeedASecondFactor(t *testing.T) {
	t.Parallel()
	olive, ada := id.New(), id.New()
	users := map[string]oidc.User{olive.String(): {ID: olive, Operator: true}, ada.String(): {ID: ada}}
	for name, c := range map[string]struct {
		subject   id.ID
		acr       string
		status    int
		challenge string
	}{
		"an operator with a second factor":    {olive, oidc.ACRMFA, http.StatusOK, ""},
		"an operator with a password":         {olive, oidc.ACRPassword, http.StatusUnauthorized, `error="insufficient_user_authentication", acr_values="urn:larder:acr:mfa"`},
		"an operator whose token says no acr": {olive, "", http.StatusUnauthorized, `error="insufficient_user_authentication"`},
		"somebody else with a second factor":  {ada, oidc.ACRMFA, http.StatusForbidden, ""},
		"somebody else with a password":       {ada, oidc.ACRPassword, http.StatusForbidden, ""},
		"somebody who is gone":                {id.New(), oidc.ACRMFA, http.StatusForbidden, ""},
	} {
		from := issued{token: oidc.AccessToken{Subject: c.subject.String(), ClientID: "web", Scopes: []string{oidc.ScopeAdmin}, ACR: c.acr}, users: users}
		rt := web.NewRouter(web.Problem)
		(&admin.Gate{Issuer: "https://login.test", Verifier: from, Users: from, Clients: from}).Routes(rt).
			Handle(http.MethodGet, "/admin/v1/ping", func(w http.ResponseWriter, _ *http.Request) error { return web.JSON(w, http.StatusOK, "pong") })
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/admin/v1/ping", http.NoBody)
		r.Header.Set("Authorization", "Bearer token")
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if got := w.Header().Get("WWW-Authenticate"); w.Code != c.status || !strings.Contains(got, c.challenge) {
			t.Errorf("%s: %d, challenge %q; want %d, %q", name, w.Code, got, c.status, c.challenge)
		}
	}
}
