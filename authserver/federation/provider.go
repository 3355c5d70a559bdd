package federation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	oidcclient "github.com/coreos/go-oidc/v3/oidc"
	"github.com/markbates/goth"
	"golang.org/x/oauth2"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/secret"
)

const (
	google = "google"
	apple  = "apple"
)

// callbackPath is where a provider sends people back to.
func callbackPath(provider string) string { return "/login/" + provider + "/callback" }

// Provider is one that people may sign in with. Make it with Google or Apple.
type Provider struct {
	oidc.SignInProvider

	clientID string
	issuer   string   // under which identities are kept, wherever it is emulated
	issuers  []string // what it calls itself in tokens
	origin   string   // where its form_post comes from; "" for a provider that sends none
	authURL  string
	tokenURL string
	// revokeURL takes a refresh token back; "" where none is kept.
	revokeURL string
	callback  string

	goth   goth.Provider
	secret func() (secret.String, error) // of the client, for one exchange
	client *http.Client
	keys   *keySet
	now    func() time.Time
}

// Common is what both providers need.
type Common struct {
	Issuer string       // ours, without a trailing slash
	Client *http.Client // reaches the provider, within a few seconds
	Now    func() time.Time
}

// profile is what a provider says of a person, verified.
type profile struct {
	Subject      string
	Email        string
	Name         string // unproven, "" if it says none
	PrivateRelay bool
	RefreshToken secret.String // Apple's
}

// begin returns the address that asks the provider who somebody is. goth knows
// the provider's parameters; what makes the request safe is ours.
func (p *Provider) begin(state, nonce, verifier, hint string, again bool) (string, error) {
	session, err := p.goth.BeginAuth(state)
	if err != nil {
		return "", err
	}
	address, err := session.GetAuthURL()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("nonce", nonce)
	q.Set("code_challenge", oauth2.S256ChallengeFromVerifier(verifier))
	q.Set("code_challenge_method", "S256")
	if hint != "" && p.Name == google {
		q.Set("login_hint", hint)
	}
	if again && p.Name == google {
		q.Set("prompt", "select_account")
	}
	// Apple takes a space as %20 only.
	return p.authURL + "?" + strings.ReplaceAll(q.Encode(), "+", "%20"), nil
}

// errAnswer says that the provider's answer is not to be believed.
var errAnswer = errors.New("the provider's answer is not to be believed")

// exchange spends a code and verifies what comes back for it.
func (p *Provider) exchange(ctx context.Context, code, nonce, verifier string) (*profile, error) {
	clientSecret, err := p.secret()
	if err != nil {
		return nil, fmt.Errorf("the client secret: %w", err)
	}
	config := oauth2.Config{
		ClientID: p.clientID, ClientSecret: clientSecret.Reveal(), RedirectURL: p.callback,
		Endpoint: oauth2.Endpoint{TokenURL: p.tokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
	token, err := config.Exchange(context.WithValue(ctx, oauth2.HTTPClient, p.client), code, oauth2.VerifierOption(verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response.StatusCode < http.StatusInternalServerError {
		return nil, fmt.Errorf("%w: the token endpoint said %d %s", errAnswer, refused.Response.StatusCode, refused.ErrorCode)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, p.Title+" does not answer right now. Try again in a moment, or sign in another way.", withoutURL(err))
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, fmt.Errorf("%w: there is no ID token", errAnswer)
	}
	found, err := p.verify(ctx, raw, nonce)
	if err != nil {
		return nil, err
	}
	found.RefreshToken = secret.String(token.RefreshToken)
	return found, nil
}

// claims are those of the ID token that we look at (OpenID Connect Core §2,
// §5.1; Apple's own beside them). Others, such as transfer_sub, may be there.
type claims struct {
	AuthorizedParty string   `json:"azp"`
	Nonce           string   `json:"nonce"`
	NonceSupported  *bool    `json:"nonce_supported"`
	Email           string   `json:"email"`
	EmailVerified   flexBool `json:"email_verified"`
	PrivateEmail    flexBool `json:"is_private_email"`
	Name            string   `json:"name"`
}

// flexBool is a boolean that Apple may send as text. Anything but true and
// "true" is false.
type flexBool bool

// UnmarshalJSON implements json.Unmarshaler.
func (b *flexBool) UnmarshalJSON(raw []byte) error {
	*b = string(raw) == "true" || string(raw) == `"true"`
	return nil
}

// verify checks an ID token (OpenID Connect Core §3.1.3.7): signature, alg,
// iss, aud, azp, exp, nonce, and that there is a person with a proven address.
func (p *Provider) verify(ctx context.Context, raw, nonce string) (*profile, error) {
	// Google has two names for itself, so the issuer is compared here.
	verifier := oidcclient.NewVerifier(p.issuer, p.keys, &oidcclient.Config{
		ClientID: p.clientID, SupportedSigningAlgs: []string{oidcclient.RS256}, SkipIssuerCheck: true, Now: p.now,
	})
	token, err := verifier.Verify(ctx, raw)
	if fault.Is(err, fault.Unavailable) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	var c claims
	if err := token.Claims(&c); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	switch {
	case !slices.Contains(p.issuers, token.Issuer):
		err = errors.New("another issuer")
	case len(token.Audience) != 1, c.AuthorizedParty != "" && c.AuthorizedParty != p.clientID:
		err = errors.New("made for another client")
	case !p.rightNonce(c, nonce):
		err = errors.New("another nonce")
	case token.Subject == "" || len(token.Subject) > maxSubject:
		err = errors.New("no subject")
	case c.Email == "" || !bool(c.EmailVerified):
		return nil, fault.New(fault.Forbidden, p.Title+" has not verified your email address, so we cannot know that it is yours. Verify it there, or sign in another way.").
			WithCode("email_not_verified")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return &profile{Subject: token.Subject, Email: c.Email, Name: c.Name, PrivateRelay: bool(c.PrivateEmail)}, nil
}

// rightNonce lets a missing nonce pass only where Apple says that the device
// could not send one.
func (p *Provider) rightNonce(c claims, nonce string) bool {
	if c.Nonce == "" && p.Name == apple && c.NonceSupported != nil && !*c.NonceSupported {
		return true
	}
	return secret.Matches(c.Nonce, secret.Sum(nonce))
}

// withoutURL leaves out the address of a failed request, which may carry what
// is not for the log.
func withoutURL(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}
