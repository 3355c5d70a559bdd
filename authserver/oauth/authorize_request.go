package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ory/fosite"

	"larder/authserver/oidc"
	"larder/internal/fault"
)

const (
	longestParameter = 4096 // of state and nonce, which come back
	maxMaxAge        = 10 * 365 * 24 * time.Hour
)

// prompts are the values of prompt (OpenID Connect Core §3.1.2.1, and of
// Initiating User Registration via OpenID Connect §3).
func prompts() []string { return []string{"none", "login", "consent", "select_account", "create"} }

// authorization is a valid authorization request (RFC 6749 §4.1.1).
type authorization struct {
	at          time.Time // when the request came: before the session was looked at, see work.at
	client      *oidc.Client
	form        form
	target      redirectTarget
	scopes      []string
	resources   []string
	details     []oidc.AuthorizationDetail // nil for none
	prompt      []string
	acrValues   []string       // in the client's order of preference
	maxAge      *time.Duration // nil without the parameter; 0 is a demand like any other
	hintSubject string         // whom id_token_hint names, as this client knows them
	claims      claimsRequest
	requester   fosite.AuthorizeRequester
}

// wantsFactor reports whether the client asks for more than a password: the
// first class in acr_values that we know decides (OpenID Connect Core §3.1.2.1,
// and as a demand RFC 9470 §4).
func (a *authorization) wantsFactor() bool {
	for _, value := range a.acrValues {
		if slices.Contains(acrSupported(), value) {
			return value == oidc.ACRMFA
		}
	}
	return false
}

// acrSupported are the authentication context classes that we tell of.
func acrSupported() []string { return []string{oidc.ACRPassword, oidc.ACRFederated, oidc.ACRMFA} }

func (a *authorization) hasPrompt(value string) bool { return slices.Contains(a.prompt, value) }

// readAuthorization validates an authorization request. Until client and
// redirect URI are known to belong together an error is for the person to read
// (RFC 6749 §4.1.2.1); from there on it is a redirectError.
func (p *Provider) readAuthorization(ctx context.Context, f form) (*authorization, error) {
	a := &authorization{at: p.Now(), form: f}
	if err := p.findTarget(ctx, a); err != nil {
		return nil, err
	}
	for _, check := range []func(context.Context, *authorization) error{
		p.checkUnsupported, p.checkResponse, p.checkChallenge, p.checkBinding, p.checkScope, p.checkInteraction, p.checkClaims, p.checkByFosite,
	} {
		err := check(ctx, a)
		if refusal, ok := errors.AsType[*oauthError](err); ok {
			return nil, &redirectError{target: a.target, oauthError: refusal}
		}
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

// findTarget finds the client and where its answer may go.
func (p *Provider) findTarget(ctx context.Context, a *authorization) (err error) {
	if name := a.form.repeated; name == "client_id" || name == "redirect_uri" {
		return fault.New(fault.Invalid, "The address that brought you here names more than one "+name+".")
	}
	unknown := fault.New(fault.Invalid, "The application that sent you here is not known to this service.")
	clientID := a.form.get("client_id")
	if clientID == "" {
		return unknown
	}
	if a.client, err = p.Clients.Client(ctx, clientID); fault.Is(err, fault.NotFound) {
		return unknown
	}
	if err != nil {
		return err
	}
	uri := a.form.get("redirect_uri")
	if !matchRedirectURI(uri, a.client.Metadata.RedirectURIs) {
		return fault.New(fault.Invalid, "The application that sent you here asks for your answer at an address that it has not registered.")
	}
	mode, fragment := a.form.get("response_mode"), p.Config.FrontChannel && a.frontChannel()
	known := slices.Contains(responseModes(), mode) || fragment && mode == "fragment.jwt"
	a.target = redirectTarget{
		client: a.client, uri: uri, state: a.form.get("state"),
		fragment: fragment, formPost: strings.TrimSuffix(mode, ".jwt") == "form_post", locales: strings.Fields(a.form.get("ui_locales")), signed: known && strings.HasSuffix(mode, "jwt"),
	}
	return nil
}

// checkUnsupported refuses what we cannot honour and must not ignore.
func (p *Provider) checkUnsupported(_ context.Context, a *authorization) error {
	switch {
	case a.form.repeated != "":
		return repeatedParameter(a.form.repeated)
	case a.client.PARRequired() && a.form.pushed == "":
		return newError(invalidRequest, "The client must push its requests (RFC 9126).")
	case a.client.Metadata.RequireRequestObject && !a.form.signed:
		return newError(invalidRequest, "The client must sign its requests (RFC 9101).")
	case a.form.has("request") || a.form.has("request_uri"):
		return newError(invalidRequest, "The request is a request object within a request object.") // fosite must not see it
	case a.form.has("registration"):
		return newError(registrationUnsupported, "The registration parameter is not supported.")
	case len(a.form.get("state")) > longestParameter || len(a.form.get("nonce")) > longestParameter:
		return newError(invalidRequest, "The parameters 'state' and 'nonce' may have 4096 bytes each.")
	}
	return nil
}

func (p *Provider) checkResponse(_ context.Context, a *authorization) error {
	switch responseType := oidc.ResponseType(a.form.get("response_type")); {
	case responseType == "":
		return newError(invalidRequest, "The parameter 'response_type' is missing.")
	case !slices.Contains(p.responseTypesSupported(), responseType):
		return newError(unsupportedResponseType, "The response_type must be one of: "+strings.Join(p.responseTypesSupported(), ", ")+".")
	case !slices.Contains(responseTypes(a.client), responseType),
		a.gives("code") && !a.client.AllowsGrant(oidc.AuthorizationCode), a.frontChannel() && !a.client.AllowsGrant(oidc.Implicit):
		return newError(unauthorizedClient, "The client is not registered for this response_type.")
	case a.frontChannel():
		return p.checkFrontChannel(a)
	}
	if mode := a.form.get("response_mode"); mode != "" && !slices.Contains(responseModes(), mode) {
		return newError(invalidRequest, "The response_mode must be one of: "+strings.Join(responseModes(), ", ")+".")
	}
	return nil
}

// checkChallenge demands PKCE with S256 (RFC 7636 §4.3, RFC 9700 §2.1.1), now
// and not after the person has signed in.
func (p *Provider) checkChallenge(_ context.Context, a *authorization) error {
	if !a.gives("code") {
		return nil
	}
	challenge, method := a.form.get("code_challenge"), a.form.get("code_challenge_method")
	if challenge == "" {
		if method != "" {
			return newError(invalidRequest, "There is a code_challenge_method without a code_challenge.")
		}
		if a.client.PKCERequired() {
			return newError(invalidRequest, "The parameter 'code_challenge' is missing (PKCE, RFC 7636).")
		}
		return nil
	}
	if method != "S256" {
		return newError(invalidRequest, "The code_challenge_method must be 'S256'.")
	}
	const sha256Size = 32
	if sum, err := base64.RawURLEncoding.Strict().DecodeString(challenge); err != nil || len(sum) != sha256Size {
		return newError(invalidRequest, "The code_challenge is not a SHA-256 in base64url.")
	}
	return nil
}

// checkScope limits scope, resource and authorization details to what the client is registered for.
func (p *Provider) checkScope(_ context.Context, a *authorization) (err error) {
	ceiling := oidc.SplitScope(a.client.Metadata.Scope)
	for _, scope := range oidc.SplitScope(a.form.get("scope")) {
		if !slices.Contains(ceiling, scope) {
			return newError(invalidScope, "The client may not ask for one of these scopes.")
		}
		if !slices.Contains(a.scopes, scope) {
			a.scopes = append(a.scopes, scope)
		}
	}
	if len(a.scopes) == 0 {
		return newError(invalidScope, "The parameter 'scope' is missing.")
	}
	asked, err := p.askedResources(a.form, a.client)
	if err != nil {
		return err
	}
	a.resources = audienceFor(asked, a.client, a.scopes)
	a.details, err = p.askedDetails(a.form, a.client)
	return err
}

// checkInteraction reads what the client wants to be asked of the person
// (OpenID Connect Core §3.1.2.1).
func (p *Provider) checkInteraction(_ context.Context, a *authorization) error {
	a.prompt = strings.Fields(a.form.get("prompt"))
	for _, value := range a.prompt {
		if !slices.Contains(prompts(), value) {
			return newError(invalidRequest, "The parameter 'prompt' has an unknown value.")
		}
	}
	if a.hasPrompt("none") && len(a.prompt) > 1 {
		return newError(invalidRequest, "The prompt 'none' must stand alone.")
	}
	a.acrValues = strings.Fields(a.form.get("acr_values"))
	if len(a.acrValues) == 0 {
		a.acrValues = a.client.Metadata.DefaultACRValues
	}
	if usual := a.client.Metadata.DefaultMaxAge; usual != nil {
		age := min(time.Duration(*usual)*time.Second, maxMaxAge)
		a.maxAge = &age
	}
	if raw := a.form.get("max_age"); raw != "" {
		seconds, err := strconv.ParseUint(raw, 10, 31)
		if err != nil {
			return newError(invalidRequest, "The parameter 'max_age' is not a number of seconds.")
		}
		age := min(time.Duration(seconds)*time.Second, maxMaxAge)
		a.maxAge = &age
	}
	if raw := a.form.get("id_token_hint"); raw != "" {
		hint, err := p.verifyHint(raw)
		if err != nil || hint == nil || !slices.Contains(hint.Audience, a.client.ID) {
			return newError(invalidRequest, "The id_token_hint is not an ID token of this client's.").because(err)
		}
		a.hintSubject = hint.Subject
	}
	return nil
}

// checkClaims reads the claims parameter (OpenID Connect Core §5.5). What it
// says of acr comes before acr_values, and is a demand if it is essential
// (§5.5.1.1).
func (p *Provider) checkClaims(_ context.Context, a *authorization) error {
	raw := a.form.get("claims")
	if raw == "" {
		return nil
	}
	claims, err := parseClaims(raw)
	if err != nil {
		return err
	}
	claims.limit(a.client, a.scopes)
	a.claims = *claims
	if len(claims.acr) == 0 {
		return nil
	}
	a.acrValues = claims.acr
	known := func(value string) bool { return slices.Contains(acrSupported(), value) }
	if claims.acrEssential && !slices.ContainsFunc(claims.acr, known) {
		return newError(unmetAuthentication, "None of the authentication context classes that are asked for can be reached here.")
	}
	return nil
}

// isFor reports whether the person is one whom the request is for: whom
// id_token_hint and the sub of the claims parameter name, if they name anybody.
func (p *Provider) isFor(a *authorization, login *oidc.Login) (bool, error) {
	if login == nil || a.hintSubject == "" && len(a.claims.subjects) == 0 {
		return true, nil
	}
	sub, err := p.subjectFor(a.client, login.Subject)
	hinted := a.hintSubject == "" || a.hintSubject == sub
	return hinted && (len(a.claims.subjects) == 0 || slices.Contains(a.claims.subjects, sub)), err
}

// checkByFosite has fosite parse the request too; its requester becomes the
// code. How the answer is sent is none of its business, and it knows no signed
// ones.
func (p *Provider) checkByFosite(ctx context.Context, a *authorization) error {
	ctx = withWork(ctx, &work{client: a.client})
	values := maps.Clone(a.form.values)
	values.Del("response_mode")
	values.Set("response_type", "code") // what else there is to the answer is not made by fosite
	r := &http.Request{Method: http.MethodGet, Header: http.Header{}, Form: values}
	requester, err := p.engine.NewAuthorizeRequest(ctx, r)
	if err != nil && !tolerateNoState(requester, err) {
		return asOAuthError(err)
	}
	a.requester = requester
	return nil
}

// tolerateNoState lets a request without state pass: PKCE guards it against
// forgery, and OpenID Connect only recommends state. fosite insists on one of
// some length and checks it last, so that all else has been judged.
func tolerateNoState(requester fosite.AuthorizeRequester, err error) bool {
	return errors.Is(err, fosite.ErrInvalidState) && requester.GetState() == ""
}
