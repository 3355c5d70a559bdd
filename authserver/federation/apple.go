package federation

import (
	"strings"
	"time"

	gothapple "github.com/markbates/goth/providers/apple"

	"larder/authserver/oidc"
	"larder/internal/secret"
)

// appleSecretLife is how long a client secret lives that is made for one
// exchange.
const appleSecretLife = 5 * time.Minute

const appleIssuer = "https://appleid.apple.com"

// AppleConfig is what Apple's console made: a Services ID and a key.
type AppleConfig struct {
	ClientID   string // the Services ID
	TeamID     string
	KeyID      string
	PrivateKey secret.String // PKCS #8 in PEM, of the key KeyID
	URL        string        // in place of Apple, for development; "" is Apple
}

// Check reports whether the private key can sign.
func (c AppleConfig) Check(now time.Time) error {
	_, err := c.secret(now)
	return err
}

// secret is a client secret for the next minutes, signed with ES256.
func (c AppleConfig) secret(now time.Time) (secret.String, error) {
	made, err := gothapple.MakeSecret(gothapple.SecretParams{
		PKCS8PrivateKey: c.PrivateKey.Reveal(), TeamId: c.TeamID, KeyId: c.KeyID, ClientId: c.ClientID,
		Iat: int(now.Unix()), Exp: int(now.Add(appleSecretLife).Unix()),
	})
	if err != nil {
		return "", err
	}
	return secret.String(*made), nil
}

// Apple is "Sign in with Apple". Asking for the name makes it answer with a
// form that the browser posts to us (form_post).
func Apple(c AppleConfig, common Common) *Provider {
	base := appleIssuer
	if c.URL != "" {
		base = c.URL
	}
	p := &Provider{
		SignInProvider: oidc.SignInProvider{Name: apple, Title: "Apple"}, clientID: c.ClientID, client: common.Client, now: common.Now,
		issuer: appleIssuer, issuers: []string{base}, origin: originOf(base), callback: common.Issuer + callbackPath(apple),
		authURL: base + "/auth/authorize", tokenURL: base + "/auth/token", revokeURL: base + "/auth/revoke",
		secret: func() (secret.String, error) { return c.secret(common.Now()) },
		keys:   &keySet{url: base + "/auth/keys", client: common.Client, now: common.Now},
	}
	p.goth = gothapple.New(c.ClientID, "", p.callback, common.Client, gothapple.ScopeName, gothapple.ScopeEmail)
	return p
}

func withoutScheme(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	return rest
}

func originOf(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}
