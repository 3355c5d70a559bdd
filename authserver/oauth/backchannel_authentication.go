package oauth

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/secret"
	"larder/internal/web"
)

// OpenID CIBA Core is told of in package ciba; here is where its requests come in.
const (
	backchannelPath = "/bc-authorize"

	backchannelLifetime = 10 * time.Minute
	backchannelShortest = 30 * time.Second // a person has to read the mail first
	backchannelLongest  = 30 * time.Minute

	maxLoginHint      = 254 // bytes, as of an address
	maxBindingMessage = 64  // characters: it is to be compared with another screen
)

// invalidBindingMessage is OpenID CIBA Core §13.
const invalidBindingMessage = "invalid_binding_message"

// notificationToken is the credential of RFC 6750 §2.1 with at least 128 bits in
// base64url, and at most the 1024 characters of OpenID CIBA Core §7.1.
var notificationToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]{22,1000}={0,2}$`)

// BackchannelRequests keeps what clients ask of people whom they name.
type BackchannelRequests interface {
	Begin(ctx context.Context, req oidc.BackchannelRequest) (authReqID string, err error)
	Decoupled
}

// backchannelResponse is OpenID CIBA Core §7.3.
type backchannelResponse struct {
	AuthReqID string `json:"auth_req_id"`
	ExpiresIn int64  `json:"expires_in"` // seconds
	Interval  int64  `json:"interval"`   // seconds
}

func (p *Provider) mountBackchannel(rt *web.Router) {
	// No browser may ask: whoever has a credential keeps it on a server.
	rt.With(writeError).Handle(http.MethodPost, backchannelPath, p.handleBackchannelAuthentication)
}

// handleBackchannelAuthentication answers POST /bc-authorize (OpenID CIBA Core §7).
func (p *Provider) handleBackchannelAuthentication(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	client, err := p.authenticateClient(r.Context(), r, f)
	if err != nil {
		return err
	}
	if client.Public() || !client.AllowsGrant(oidc.CIBA) {
		return newError(unauthorizedClient, "The client is not registered for backchannel authentication.")
	}
	rate := limit.Rate{Burst: 200, Every: 100 * time.Millisecond}
	for _, bucket := range []string{"ciba:" + clientMark(client.ID), "ciba:" + limit.Source(r)} {
		if err := p.limits.Take(r.Context(), bucket, rate); err != nil {
			return err
		}
	}
	if f, err = p.openBackchannelRequest(r.Context(), client, f); err != nil {
		return err
	}
	req, err := p.readBackchannelRequest(r.Context(), client, f)
	if err != nil {
		return err
	}
	req.AskedAt, req.AskedFrom = p.Now(), addressOf(r)
	authReqID, err := p.Backchannel.Begin(r.Context(), *req)
	if err != nil {
		return err
	}
	noStore(w.Header())
	return web.JSON(w, http.StatusOK, backchannelResponse{
		AuthReqID: authReqID, ExpiresIn: int64(req.Lifetime / time.Second), Interval: int64(oidc.PollInterval / time.Second),
	})
}

// readBackchannelRequest judges the parameters (§7.1).
func (p *Provider) readBackchannelRequest(ctx context.Context, client *oidc.Client, f form) (*oidc.BackchannelRequest, error) {
	if f.has("user_code") {
		return nil, newError(invalidRequest, "The parameter 'user_code' is not supported.")
	}
	a := &authorization{client: client, form: f}
	if err := p.checkScope(ctx, a); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(a.scopes, oidc.ScopeOpenID):
		return nil, newError(invalidScope, "The scope must hold openid.")
	case slices.Contains(a.scopes, oidc.ScopeAdmin):
		return nil, newError(invalidScope, "Operators sign in where they work.")
	}
	if a.acrValues = strings.Fields(f.get("acr_values")); len(a.acrValues) == 0 {
		a.acrValues = client.Metadata.DefaultACRValues
	}
	req := &oidc.BackchannelRequest{
		DecoupledRequest: oidc.DecoupledRequest{ClientID: client.ID, Scopes: a.scopes, Resources: a.resources, Details: a.details},
		Factor:           a.wantsFactor(),
	}
	var err error
	if req.Lifetime, err = requestedExpiry(f); err != nil {
		return nil, err
	}
	if req.BindingMessage, err = bindingMessage(client, f); err != nil {
		return nil, err
	}
	if client.Metadata.BackchannelDelivery == oidc.DeliveryPing {
		token := f.get("client_notification_token")
		if !notificationToken.MatchString(token) {
			return nil, newError(invalidRequest, "The parameter 'client_notification_token' must be a bearer token of 22 to 1000 characters.")
		}
		req.NotificationToken = secret.String(token)
	}
	return req, p.findHinted(client, f, req)
}

// findHinted reads the one hint of whom the client means. Whether there is such
// a person is not told here, nor later.
func (p *Provider) findHinted(client *oidc.Client, f form, req *oidc.BackchannelRequest) error {
	hints := 0
	for _, name := range []string{"login_hint", "id_token_hint", "login_hint_token"} {
		if f.has(name) {
			hints++
		}
	}
	switch {
	case hints != 1:
		return newError(invalidRequest, "There must be one of 'login_hint' and 'id_token_hint'.")
	case f.has("login_hint_token"):
		return newError(invalidRequest, "The parameter 'login_hint_token' is not supported; send 'login_hint' or 'id_token_hint'.")
	case f.has("login_hint"):
		req.LoginHint = f.get("login_hint")
		if len(req.LoginHint) > maxLoginHint {
			return newError(invalidRequest, "The parameter 'login_hint' is not an e-mail address.")
		}
		return nil
	}
	notOurs := newError(invalidRequest, "The id_token_hint is not an ID token of this client's.")
	hint, err := p.verifyHint(f.get("id_token_hint"))
	if err != nil || hint == nil || !slices.Contains(hint.Audience, client.ID) {
		return notOurs.because(err)
	}
	if err := p.unveil(hint, client); err != nil {
		return err
	}
	if req.Person, err = id.Parse(hint.Subject); err != nil {
		return notOurs.because(err)
	}
	return nil
}

func requestedExpiry(f form) (time.Duration, error) {
	raw := f.get("requested_expiry")
	if raw == "" {
		return backchannelLifetime, nil
	}
	seconds, err := strconv.ParseUint(raw, 10, 31)
	if err != nil || seconds == 0 {
		return 0, newError(invalidRequest, "The parameter 'requested_expiry' is not a positive number of seconds.")
	}
	return min(max(time.Duration(seconds)*time.Second, backchannelShortest), backchannelLongest), nil
}

// bindingMessage is what both screens show, so that the person sees that they
// belong together. It says nothing but that: no lines, no hidden characters, no
// address to go to. FAPI-CIBA §5.2.2 demands one, since nothing else ties the
// screens together.
func bindingMessage(client *oidc.Client, f form) (string, error) {
	message := f.get("binding_message")
	hidden := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case message == "" && client.FAPI2():
		return "", newError(invalidBindingMessage, "The parameter 'binding_message' is missing.")
	case utf8.RuneCountInString(message) > maxBindingMessage || strings.ContainsFunc(message, hidden):
		return "", newError(invalidBindingMessage, "The binding_message may have 64 printable characters.")
	case strings.Contains(message, "://"):
		return "", newError(invalidBindingMessage, "The binding_message must not hold an address.")
	}
	return message, nil
}

// openBackchannelRequest replaces a signed request by what it says (§7.1.1). Those
// of the fapi2 profile sign each, and whoever registered an algorithm for it.
func (p *Provider) openBackchannelRequest(ctx context.Context, client *oidc.Client, f form) (form, error) {
	alg := client.Metadata.BackchannelRequestAlg
	switch {
	case f.has("request_uri"):
		return form{}, newError(invalidRequest, "A backchannel request cannot refer to another by 'request_uri'.")
	case !f.has("request") && (alg != "" || client.FAPI2() || client.Metadata.RequireRequestObject):
		return form{}, newError(invalidRequest, "The client must sign its requests.")
	case !f.has("request"):
		return f, nil
	}
	outside := withoutCredentials(f.values)
	outside.Del("client_id")
	if len(outside) > 1 {
		return form{}, newError(invalidRequest, "Every parameter must stand in the signed request.")
	}
	payload, err := p.verifyRequestObject(ctx, client, f.get("request"), alg)
	if fault.Is(err, fault.Unavailable) {
		return form{}, err
	}
	if err != nil {
		return form{}, newError(invalidRequest, "The request is not signed as the client is registered to sign.").because(err)
	}
	object, err := parseRequestObject(payload)
	if err == nil {
		err = p.checkBackchannelObject(client, object.claims)
	}
	if err != nil {
		return form{}, newError(invalidRequest, "The signed request is not acceptable: "+err.Error()+".").because(err)
	}
	return form{values: object.parameters, signed: true}, nil
}

// checkBackchannelObject demands every claim of §7.1.1. Its error is told to the
// client.
func (p *Provider) checkBackchannelObject(client *oidc.Client, c requestObjectClaims) error {
	now, issued, begins, expires := p.Now(), numericDate(c.IssuedAt), numericDate(c.NotBefore), numericDate(c.Expires)
	switch {
	case c.ID == "":
		return errors.New("jti is missing")
	case c.Issuer != client.ID:
		return errors.New("iss is not the client")
	case !slices.Contains(c.Audience, p.Config.Issuer):
		return errors.New("aud is not the issuer")
	case c.IssuedAt == 0 || c.NotBefore == 0 || c.Expires == 0:
		return errors.New("iat, nbf and exp are all needed")
	case !now.Before(expires.Add(clockLeeway)):
		return errors.New("exp is over")
	case issued.After(now.Add(clockLeeway)) || begins.After(now.Add(clockLeeway)):
		return errors.New("iat or nbf is ahead")
	case expires.Sub(begins) > requestObjectLifespan:
		return errors.New("exp is more than 60 minutes after nbf") // FAPI-CIBA §5.2.2
	}
	return nil
}
