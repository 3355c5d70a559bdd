package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"larder/authserver/oidc"
	"larder/internal/web"
)

// tokenResponse is RFC 6749 §5.1.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	Scope        string `json:"scope,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`

	IssuedTokenType string `json:"issued_token_type,omitempty"` // RFC 8693 §2.2.1

	Details []oidc.AuthorizationDetail `json:"authorization_details,omitempty"` // RFC 9396 §7
}

func (p *Provider) mountToken(rt *web.Router) {
	api := rt.With(writeError)
	api.Handle(http.MethodPost, "/token", allowAnyOrigin(p.offersNonce(p.handleToken)))
	api.Handle(http.MethodOptions, "/token", preflight("POST"))
}

// handleToken answers POST /token (RFC 6749 §3.2).
func (p *Provider) handleToken(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	answer, err := p.token(r, f)
	if err != nil {
		return err
	}
	return writeTokens(w, answer)
}

// token runs the phases that all grants share: a grant that we know, a client
// that is who it says, that may use the grant, for resources that are its own,
// and a key for the tokens to be bound to.
func (p *Provider) token(r *http.Request, f form) (*tokenResponse, error) {
	at := p.Now()
	grantType := f.get("grant_type")
	run, known := p.grantOf(grantType)
	if !known {
		if grantType == "" {
			return nil, newError(invalidRequest, "The parameter 'grant_type' is missing.")
		}
		return nil, newError(unsupportedGrantType, "This grant type is not supported.")
	}
	client, err := p.authenticateClient(r.Context(), r, f)
	if err != nil {
		return nil, err
	}
	if !client.AllowsGrant(grantType) {
		return nil, newError(unauthorizedClient, "The client is not registered for this grant type.")
	}
	resources, err := p.askedResources(f, client)
	if err != nil {
		return nil, err
	}
	x5t, err := boundCertificate(r, client)
	if err != nil {
		return nil, err
	}
	// Before anything is spent: the key for the ID token may have to be fetched.
	if alg := client.Metadata.IDTokenEncryptedAlg; alg != "" {
		if _, err := p.encryptionKey(r.Context(), client, alg); err != nil {
			return nil, err
		}
	}
	// Last, because a proof is good once: what is refused above may be sent again.
	jkt, err := p.proofKey(r, client)
	if err != nil {
		return nil, err
	}
	w := &work{at: at, grantType: grantType, client: client, resources: resources, jkt: jkt, x5t: x5t}
	answer, err := run(withWork(r.Context(), w), r, f)
	if err != nil {
		return nil, err
	}
	if answer.ExpiresIn == 0 {
		answer.ExpiresIn = int64(p.Config.AccessTokenLifespan / time.Second)
	}
	return answer, nil
}

type runGrant func(ctx context.Context, r *http.Request, f form) (*tokenResponse, error)

func (p *Provider) grantOf(grantType string) (run runGrant, known bool) {
	switch grantType {
	case oidc.AuthorizationCode:
		return p.grantAuthorizationCode, true
	case oidc.RefreshToken:
		return p.grantRefreshToken, true
	case oidc.ClientCredentials:
		return p.grantClientCredentials, true
	case oidc.DeviceCode:
		return p.deviceGrant().run, true
	case oidc.CIBA:
		return p.backchannelGrant().run, true
	case oidc.TokenExchange:
		return p.grantTokenExchange, true
	case oidc.JWTBearer:
		return p.grantJWTBearer, true
	}
	return nil, false
}

const maxResources = 10

// askedResources reads the resource parameters (RFC 8707 §2): each must be a
// resource server of ours that the client is registered for.
func (p *Provider) askedResources(f form, client *oidc.Client) ([]string, error) {
	asked := f.all("resource")
	if len(asked) > maxResources {
		return nil, newError(invalidTarget, "There are too many resources.")
	}
	var resources []string
	for _, resource := range asked {
		served := slices.ContainsFunc(p.Config.ResourceServers, func(rs oidc.ResourceServer) bool { return rs.Resource == resource })
		if !served || !slices.Contains(client.Metadata.Resources, resource) {
			return nil, newError(invalidTarget, "The client may not ask for this resource.")
		}
		if !slices.Contains(resources, resource) {
			resources = append(resources, resource)
		}
	}
	return resources, nil
}

// audienceFor is the audience of a grant: the resources asked for, else the
// client's first if the scopes mean something to an API other than our own
// admin API. None means that the token is for the issuer itself.
func audienceFor(asked []string, client *oidc.Client, scopes []string) []string {
	switch {
	case len(asked) > 0:
		return asked
	case len(client.Metadata.Resources) > 0 &&
		slices.ContainsFunc(apiScopes(scopes), func(s string) bool { return s != oidc.ScopeAdmin }):
		return client.Metadata.Resources[:1]
	}
	return []string{}
}

func writeTokens(w http.ResponseWriter, answer *tokenResponse) error {
	body, err := json.Marshal(answer) //nolint:gosec // giving tokens out is what this endpoint is for
	if err != nil {
		return err
	}
	h := w.Header()
	noStore(h)
	h.Set("Content-Type", "application/json")
	_, _ = w.Write(body) // nobody is left to tell
	return nil
}

func subset(part, whole []string) bool {
	for _, s := range part {
		if !slices.Contains(whole, s) {
			return false
		}
	}
	return true
}
