package stack

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"larder/internal/devstack/demo"
)

// Client is a relying party: it speaks OAuth 2.0 and knows nothing else of the authserver.
type Client struct {
	Issuer, ID, Secret, RedirectURI string
	// Post authenticates by client_secret_post instead of client_secret_basic.
	Post bool
}

// Client is the relying party of the demo document.
func (s *Stack) Client(c demo.Client) *Client {
	client := &Client{Issuer: s.Issuer, ID: c.ID, Secret: c.Secret}
	if len(c.RedirectURIs) > 0 {
		client.RedirectURI = c.RedirectURIs[len(c.RedirectURIs)-1]
	}
	return client
}

// Attempt is one authorization request and what the client remembers of it.
type Attempt struct {
	URL                    string
	State, Nonce, Verifier string
}

// Begin makes an authorization request with PKCE, state and nonce. More parameters replace those; an empty value
// leaves one out.
func (c *Client) Begin(scope string, more url.Values) *Attempt {
	a := &Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text()}
	sum := sha256.Sum256([]byte(a.Verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.RedirectURI}, "scope": {scope},
		"state": {a.State}, "nonce": {a.Nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for name, values := range more {
		query[name] = values
		if len(values) == 1 && values[0] == "" {
			delete(query, name)
		}
	}
	a.URL = c.Issuer + "/authorize?" + query.Encode()
	return a
}

// Push makes an authorization request and pushes it (RFC 9126): the browser is sent with a reference to it.
func (c *Client) Push(ctx context.Context, scope string, more url.Values) (*Attempt, error) {
	a := c.Begin(scope, more)
	_, query, _ := strings.Cut(a.URL, "?")
	form, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	answer, err := c.PostForm(ctx, c.Issuer+"/par", form)
	if err != nil {
		return nil, err
	}
	var pushed struct {
		RequestURI string `json:"request_uri"`
	}
	if err := json.Unmarshal(answer.Body, &pushed); err != nil || answer.Status != http.StatusCreated {
		return nil, fmt.Errorf("the request was not taken: %s", answer)
	}
	a.URL = c.Issuer + "/authorize?" + url.Values{"client_id": {c.ID}, "request_uri": {pushed.RequestURI}}.Encode()
	return a, nil
}

// Code reads the authorization response that the browser was sent away with, as a careful client does: state and iss
// have to be right.
func (c *Client) Code(a *Attempt, page *Page) (string, error) {
	if page.Left == nil {
		return "", fmt.Errorf("no authorization response; the browser shows %s:\n%s", page.URL, page.Response)
	}
	if !strings.HasPrefix(page.Left.String(), c.RedirectURI) {
		return "", fmt.Errorf("the browser was sent to %s, not to %s", page.Left, c.RedirectURI)
	}
	query := page.Left.Query()
	if got := query.Get("state"); got != a.State {
		return "", fmt.Errorf("state is %q, want %q", got, a.State)
	}
	if got := query.Get("iss"); got != c.Issuer {
		return "", fmt.Errorf("iss is %q, want %q (RFC 9207)", got, c.Issuer)
	}
	if query.Get("error") != "" {
		return "", fmt.Errorf("authorization failed: %s: %s", query.Get("error"), query.Get("error_description"))
	}
	if query.Get("code") == "" {
		return "", errors.New("no code in " + page.Left.String())
	}
	return query.Get("code"), nil
}

// Exchange redeems a code.
func (c *Client) Exchange(ctx context.Context, code, verifier string) (*Response, error) {
	return c.Token(ctx, c.exchange(code, verifier))
}

func (c *Client) exchange(code, verifier string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.RedirectURI}, "code_verifier": {verifier},
	}
}

// Refresh asks for new tokens.
func (c *Client) Refresh(ctx context.Context, token string) (*Response, error) {
	return c.Token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// Token sends a token request.
func (c *Client) Token(ctx context.Context, form url.Values) (*Response, error) {
	return c.PostForm(ctx, c.Issuer+"/token", form)
}

// PostForm sends a form to an endpoint, authenticated as this client. A client without a secret names itself.
func (c *Client) PostForm(ctx context.Context, endpoint string, form url.Values) (*Response, error) {
	header, sent := http.Header{}, url.Values{}
	maps.Copy(sent, form)
	switch {
	case c.Secret == "":
		sent.Set("client_id", c.ID)
	case c.Post:
		sent.Set("client_id", c.ID)
		sent.Set("client_secret", c.Secret)
	default:
		// RFC 6749 §2.3.1: both parts are form-encoded first.
		pair := url.QueryEscape(c.ID) + ":" + url.QueryEscape(c.Secret)
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	return postForm(ctx, endpoint, header, sent)
}

// Tokens is a successful token response (RFC 6749 §5.1).
type Tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope"`
	ExpiresIn    int    `json:"expires_in"`
}

// Tokens reads a token response; any status but 200 is an error.
func (r *Response) Tokens() (*Tokens, error) {
	var tokens Tokens
	if r.Status != http.StatusOK {
		return nil, fmt.Errorf("no tokens: %s", r)
	}
	return &tokens, json.Unmarshal(r.Body, &tokens)
}

// Authorize takes the browser through a whole authorization request: it signs in where the page asks for it, allows
// what the consent page asks, and redeems the code.
func (c *Client) Authorize(ctx context.Context, b *Browser, user demo.User, scope string, more url.Values) (*Tokens, error) {
	attempt := c.Begin(scope, more)
	page, err := b.Open(ctx, attempt.URL)
	if err != nil {
		return nil, err
	}
	if page.Has("login") {
		if page, err = b.SignIn(ctx, page, user.Email, user.Password); err != nil {
			return nil, err
		}
	}
	if page.Has("allow") {
		if page, err = b.Press(ctx, page, "allow"); err != nil {
			return nil, err
		}
	}
	code, err := c.Code(attempt, page)
	if err != nil {
		return nil, err
	}
	resp, err := c.Exchange(ctx, code, attempt.Verifier)
	if err != nil {
		return nil, err
	}
	return resp.Tokens()
}

// ResourceServer is the client as which the resource API introspects.
func (s *Stack) ResourceServer() *Client {
	client := &Client{Issuer: s.Issuer}
	for _, setting := range s.env {
		if id, ok := strings.CutPrefix(setting, "RESOURCEAPI_CLIENT_ID="); ok {
			client.ID = id
		}
		if secret, ok := strings.CutPrefix(setting, "RESOURCEAPI_CLIENT_SECRET="); ok {
			client.Secret = secret
		}
	}
	return client
}
