package oauth

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"larder/authserver/oidc"
	"larder/internal/id"
)

// The secrets of the clients that addWeb and addResourceServer register.
const (
	webSecret = "web-secret-0123456789"
	apiSecret = "api-secret-0123456789"
)

// addWeb registers a confidential client with everything.
func (h *harness) addWeb() *oidc.Client {
	return h.addClient("web", webSecret, oidc.Metadata{
		ClientName: "Larder on the web", GrantTypes: []string{oidc.AuthorizationCode, oidc.RefreshToken, oidc.ClientCredentials},
		ResponseTypes: []string{"code"}, RedirectURIs: []string{"https://web.test/callback"},
		PostLogoutRedirectURIs: []string{"https://web.test/", "https://web.test/bye?from=larder"},
		Scope:                  "openid profile email address phone offline_access lists:read lists:write", Resources: []string{testAPI},
	})
}

// addResourceServer registers the client that the API is when it asks us.
func (h *harness) addResourceServer() {
	h.addClient("api", apiSecret, oidc.Metadata{IntrospectResource: testAPI})
}

// claims are those of a live access token of web for the API.
func (h *harness) claims(user id.ID) accessClaims {
	now := h.clock.Now()
	return accessClaims{
		Issuer: h.issuer, Subject: user.String(), ClientID: "web", Audience: audience{testAPI}, Scope: "openid profile lists:read",
		Expires: now.Add(5 * time.Minute).Unix(), IssuedAt: now.Unix(), JTI: rand.Text(), GrantID: id.New().String(), SID: rand.Text(),
		AuthTime: now.Unix(), ACR: oidc.ACRPassword, AMR: []string{"pwd"},
	}
}

// sign makes a token of ours with any claims.
func (h *harness) sign(typ string, claims any) string {
	h.t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		h.t.Fatal(err)
	}
	token, err := h.keys.Sign(h.t.Context(), "ES256", typ, payload)
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// idToken makes one as the token endpoint does, already expired: as a hint it
// serves all the same.
func (h *harness) idToken(login oidc.Login, clientID string) string {
	h.t.Helper()
	return h.sign(idTokenType, map[string]any{
		"iss": h.issuer, "sub": login.Subject.String(), "aud": clientID, "sid": login.SID,
		"iat": h.clock.Now().Add(-time.Hour).Unix(), "exp": h.clock.Now().Add(-30 * time.Minute).Unix(),
	})
}

// grant writes a grant of web and returns it with its refresh token.
func (h *harness) grant(user id.ID, sid string, scopes ...string) (*grant, string) {
	h.t.Helper()
	now := h.clock.Now()
	g := &grant{
		ID: id.New(), ClientID: "web", UserID: user, SID: sid, Scopes: scopes, Resources: []string{testAPI}, Salt: newSalt(),
		Session: grantSession{AuthTime: now, ACR: oidc.ACRPassword, AMR: []string{"pwd"}}, AskedAt: now, CreatedAt: now,
		IdleExpiresAt: now.Add(30 * 24 * time.Hour), ExpiresAt: now.Add(90 * 24 * time.Hour),
	}
	if err := h.p.grants.create(h.t.Context(), g, []byte(rand.Text()), &oidc.Client{Metadata: oidc.Metadata{FirstParty: true}}); err != nil {
		h.t.Fatal(err)
	}
	return g, refreshToken{grantID: g.ID, salt: [saltSize]byte(g.Salt)}.encode(h.keys.mac[0])
}

// revokedReason reads what became of a grant, "" while it lives.
func (h *harness) revokedReason(grantID id.ID) string {
	h.t.Helper()
	var reason *string
	if err := h.db.Owner.QueryRow(h.t.Context(), `SELECT revoked_reason FROM auth.grants WHERE id = $1`, grantID).Scan(&reason); err != nil {
		h.t.Fatal(err)
	}
	if reason == nil {
		return ""
	}
	return *reason
}
