package federation

import (
	gothgoogle "github.com/markbates/goth/providers/google"

	"larder/authserver/oidc"
	"larder/internal/secret"
)

// GoogleConfig is the client that Google's console made.
type GoogleConfig struct {
	ClientID string
	Secret   secret.String
	URL      string // in place of Google, for development; "" is Google
}

// Google is "Sign in with Google". It is asked for no access beyond who
// somebody is, so no token of it is kept.
func Google(c GoogleConfig, common Common) *Provider {
	p := &Provider{ //nolint:gosec // addresses, not credentials
		SignInProvider: oidc.SignInProvider{Name: google, Title: "Google"}, clientID: c.ClientID, client: common.Client, now: common.Now,
		issuer: "https://accounts.google.com", callback: common.Issuer + callbackPath(google),
		authURL: "https://accounts.google.com/o/oauth2/v2/auth", tokenURL: "https://oauth2.googleapis.com/token",
		secret: func() (secret.String, error) { return c.Secret, nil },
	}
	keys, calledItself := "https://www.googleapis.com/oauth2/v3/certs", p.issuer
	if c.URL != "" {
		p.authURL, p.tokenURL, keys, calledItself = c.URL+"/o/oauth2/v2/auth", c.URL+"/token", c.URL+"/oauth2/v3/certs", c.URL
	}
	p.issuers = []string{calledItself, withoutScheme(calledItself)}
	p.keys = &keySet{url: keys, client: common.Client, now: common.Now}
	asked := gothgoogle.New(c.ClientID, "", p.callback, "openid", "email", "profile")
	asked.SetAccessType("online") // goth's default would ask for a refresh token
	p.goth = asked
	return p
}
