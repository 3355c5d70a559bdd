package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/limit"
)

const (
	maxRequestObject      = 16 << 10 // bytes
	requestObjectLifespan = time.Hour
	requestObjectMedia    = "application/oauth-authz-req+jwt" // RFC 9101 §5.2.3
)

// Fetcher reads an address that a client chose; outbound.Client does.
type Fetcher interface {
	Get(ctx context.Context, address string, header http.Header) ([]byte, error)
}

// requestObject is an authorization request that its client signed (RFC 9101,
// OpenID Connect Core §6).
type requestObject struct {
	claims     requestObjectClaims
	parameters url.Values // those that the client may send, as in a form
}

// requestObjectClaims are about the object itself and are no parameters.
type requestObjectClaims struct {
	ID        string   `json:"jti"`
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Expires   float64  `json:"exp"`
	NotBefore float64  `json:"nbf"`
	IssuedAt  float64  `json:"iat"`
}

// strictRequestObjects reports whether the client's request objects must stand
// alone and be short-lived, as RFC 9101 and FAPI 2.0 Message Signing §5.3 have
// it. OpenID Connect Core §6.1 lets them complete what stands outside.
func strictRequestObjects(client *oidc.Client) bool {
	return client.FAPI2() || client.Metadata.RequireRequestObject
}

// openRequest replaces a request that carries a request object, or refers to
// one, by what is in it. From then on it is a request like any other. What is
// wrong with the object is told to the client if its address is proven, else to
// the person.
func (p *Provider) openRequest(ctx context.Context, r *http.Request, f form) (form, error) {
	if f.pushed != "" || !f.has("request") && !f.has("request_uri") {
		return f, nil
	}
	outer := &authorization{form: f}
	opened, err := p.openBrowserRequest(ctx, r, f)
	refusal, ok := errors.AsType[*oauthError](err)
	if !ok {
		return opened, err
	}
	if unproven := p.findTarget(ctx, outer); unproven != nil {
		return form{}, refusal
	}
	return form{}, &redirectError{target: outer.target, oauthError: refusal}
}

func (p *Provider) openBrowserRequest(ctx context.Context, r *http.Request, f form) (form, error) {
	client, err := p.Clients.Client(ctx, f.get("client_id"))
	switch {
	case fault.Is(err, fault.NotFound):
		return form{}, fault.New(fault.Invalid, "The application that sent you here is not known to this service.")
	case err != nil:
		return form{}, err
	case f.repeated != "":
		return form{}, repeatedParameter(f.repeated)
	case client.PARRequired():
		return form{}, newError(invalidRequest, "The client must push its requests (RFC 9126).")
	case f.has("request") && f.has("request_uri"):
		return form{}, newError(invalidRequest, "The parameters 'request' and 'request_uri' exclude each other.")
	}
	token := f.get("request")
	if token == "" {
		if token, err = p.fetchRequestObject(ctx, r, client, f.get("request_uri")); err != nil {
			return form{}, err
		}
	}
	return p.openRequestObject(ctx, client, f, token)
}

// fetchRequestObject reads a request object at an address that the client has
// registered, matched whole: the fragment, often the hash of what once lay
// there, is part of the name and proves nothing (OpenID Connect Core §6.2).
func (p *Provider) fetchRequestObject(ctx context.Context, r *http.Request, client *oidc.Client, uri string) (string, error) {
	if !slices.Contains(client.Metadata.RequestURIs, uri) {
		return "", newError(invalidRequestURI, "The request_uri is not registered.")
	}
	// A bucket of this client and network, so that nobody empties another's.
	bucket, rate := "request_uri:"+clientMark(client.ID)+":"+limit.Source(r), limit.Rate{Burst: 60, Every: time.Second}
	if err := p.limits.Take(ctx, bucket, rate); err != nil {
		return "", err
	}
	address, _, _ := strings.Cut(uri, "#")
	body, err := p.Fetcher.Get(ctx, address, http.Header{"Accept": {requestObjectMedia + ", application/jwt"}})
	if err != nil {
		return "", newError(invalidRequestURI, "The request object cannot be read at its request_uri.").because(err)
	}
	return strings.TrimSpace(string(body)), nil
}

// openRequestObject verifies a request object of the client and merges it with
// the form f that it came in.
func (p *Provider) openRequestObject(ctx context.Context, client *oidc.Client, f form, token string) (form, error) {
	payload, err := p.verifyRequestObject(ctx, client, token, client.Metadata.RequestObjectAlg)
	if fault.Is(err, fault.Unavailable) {
		return form{}, err
	}
	if err != nil {
		return form{}, newError(invalidRequestObject, "The request object is not signed as the client is registered to sign.").because(err)
	}
	object, err := parseRequestObject(payload)
	if err == nil {
		err = p.checkRequestObject(client, object)
	}
	if err != nil {
		return form{}, newError(invalidRequestObject, "The request object is not acceptable: "+err.Error()+".").because(err)
	}
	if strictRequestObjects(client) {
		return form{values: object.parameters, signed: true}, nil
	}
	if differs(f, object, "response_type") {
		return form{}, newError(invalidRequest, "The response_type differs inside and outside the request object.")
	}
	merged := maps.Clone(f.values)
	merged.Del("request")
	merged.Del("request_uri")
	maps.Copy(merged, object.parameters)
	merged.Set("client_id", client.ID)
	return form{values: merged, signed: true}, nil
}

// differs reports whether a parameter stands inside and outside with two values,
// which OpenID Connect Core §6.1 allows for most.
func differs(f form, object *requestObject, name string) bool {
	return f.has(name) && object.parameters.Has(name) && f.get(name) != object.parameters.Get(name)
}

// verifyRequestObject returns the claims of an object that the client signed, by
// the algorithm alg if that is not "".
func (p *Provider) verifyRequestObject(ctx context.Context, client *oidc.Client, token, alg string) ([]byte, error) {
	if len(token) > maxRequestObject {
		return nil, errors.New("it is too long")
	}
	jws, err := jose.ParseSignedCompact(token, clientAlgorithms())
	if err != nil {
		return nil, err
	}
	header := jws.Signatures[0].Protected
	if alg != "" && alg != header.Algorithm {
		return nil, errors.New("alg is not the one that the client is registered for")
	}
	if err := checkType(jws, "oauth-authz-req+jwt"); err != nil {
		return nil, err
	}
	return p.verifyByClient(ctx, client, jws)
}

// checkType refuses a token that says itself to be of another type than typ, and so something else (RFC 8725 §3.11);
// old ones have none, or the one of every JWT.
func checkType(jws *jose.JSONWebSignature, typ string) error {
	shown, _ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	switch strings.TrimPrefix(strings.ToLower(shown), "application/") {
	case "", "jwt", typ:
		return nil
	}
	return errors.New("typ is that of another kind of token")
}

// checkRequestObject judges what an object says about itself. Its error is told
// to the client.
func (p *Provider) checkRequestObject(client *oidc.Client, object *requestObject) error {
	c, strict, now := object.claims, strictRequestObjects(client), p.Now()
	named := object.parameters.Get("client_id")
	switch {
	case named != client.ID && (named != "" || strict):
		return errors.New("client_id is not the client")
	case c.Issuer != client.ID && c.Issuer != "":
		return errors.New("iss is not the client")
	case c.Subject == client.ID:
		return errors.New("sub is the client, as in a client assertion") // RFC 9101 §10.8
	case !slices.Contains(c.Audience, p.Config.Issuer) && (len(c.Audience) > 0 || strict):
		return errors.New("aud is not the issuer")
	case client.FAPI2() && (c.Expires == 0 || c.NotBefore == 0):
		return errors.New("exp and nbf are both needed")
	}
	expires, begins := numericDate(c.Expires), numericDate(c.NotBefore)
	switch {
	case c.Expires != 0 && !now.Before(expires.Add(clockLeeway)):
		return errors.New("exp is over")
	case c.NotBefore != 0 && begins.After(now.Add(clockLeeway)):
		return errors.New("nbf is ahead")
	case c.IssuedAt != 0 && numericDate(c.IssuedAt).After(now.Add(clockLeeway)):
		return errors.New("iat is ahead")
	case client.FAPI2() && expires.Sub(begins) > requestObjectLifespan:
		return errors.New("exp is more than 60 minutes after nbf") // FAPI 2.0 Message Signing §5.3.1
	case client.FAPI2() && now.Sub(begins) > requestObjectLifespan+clockLeeway:
		return errors.New("nbf is more than 60 minutes ago")
	}
	return nil
}

// parseRequestObject reads the claims of a request object as the parameters of
// a form: text as it is, and everything else as the JSON that it was, so that
// max_age stays a number and claims an object. A list gives a parameter several
// values where it may have them (RFC 8707 §2). Null is absent.
func parseRequestObject(payload []byte) (*requestObject, error) {
	var object requestObject
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil || json.Unmarshal(payload, &object.claims) != nil {
		return nil, errors.New("the claims are malformed")
	}
	if len(members) > maxParameters {
		return nil, errors.New("there are too many claims")
	}
	object.parameters = url.Values{}
	for name, raw := range members {
		switch name {
		case "request", "request_uri":
			return nil, errors.New("it holds another one") // RFC 9101 §4
		case "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "":
			continue
		}
		values, err := parameterValues(name, raw)
		if err != nil {
			return nil, err
		}
		if len(values) > 0 {
			object.parameters[name] = values
		}
	}
	return &object, nil
}

func parameterValues(name string, raw json.RawMessage) ([]string, error) {
	malformed := errors.New("a claim is malformed")
	if name == "resource" && raw[0] == '[' {
		var several []string
		if json.Unmarshal(raw, &several) != nil || slices.ContainsFunc(several, func(s string) bool { return s == "" || !isText(s) }) {
			return nil, malformed
		}
		return several, nil
	}
	var text string
	switch {
	case string(raw) == "null":
		return nil, nil
	case raw[0] == '"':
		if json.Unmarshal(raw, &text) != nil {
			return nil, malformed
		}
	default:
		var compact bytes.Buffer
		if json.Compact(&compact, raw) != nil {
			return nil, malformed
		}
		text = compact.String()
	}
	if !isText(text) || !isText(name) {
		return nil, malformed
	}
	if text == "" {
		return nil, nil
	}
	return []string{text}, nil
}
