package oauth

import (
	"context"
	"crypto/sha512"
	"errors"
	"hash"
	"html/template"
	"net/http"
	"net/url"

	josev3 "github.com/go-jose/go-jose/v3" // the interface is written in it; nothing is parsed with it
	"github.com/hashicorp/go-retryablehttp"
	"github.com/ory/fosite"
	fositeoauth2 "github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/token/jwt"

	"larder/authserver/oidc"
)

// engine is fosite with the handlers that we let it run.
type engine struct{ *fosite.Fosite }

// engineConfig answers what depends on the request; the rest is fosite's own
// configuration, with every field set, because it fills absent ones lazily and
// without a lock.
type engineConfig struct {
	*fosite.Config
	handlers map[string]fosite.TokenEndpointHandlers // by grant type
}

// GetTokenEndpointHandlers gives the handlers of the grant at hand only: each
// of the others would refuse it with a stack trace.
func (c *engineConfig) GetTokenEndpointHandlers(ctx context.Context) fosite.TokenEndpointHandlers {
	return c.handlers[workFrom(ctx).grantType]
}

// GetEnforcePKCE is the client's own rule; fosite knows one for all.
func (c *engineConfig) GetEnforcePKCE(ctx context.Context) bool {
	return workFrom(ctx).client.PKCERequired()
}

func newEngine(p *Provider) *engine {
	store, strategy := &workStorage{p}, &strategy{p}
	cfg := &engineConfig{Config: fositeConfig(p)}
	code := &fositeoauth2.AuthorizeExplicitGrantHandler{
		AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy, AuthorizeCodeStrategy: strategy,
		CoreStorage: store, TokenRevocationStorage: store, Config: cfg,
	}
	proof := &pkce.Handler{AuthorizeCodeStrategy: strategy, Storage: store, Config: cfg}
	machine := &fositeoauth2.ClientCredentialsGrantHandler{
		HandleHelper: &fositeoauth2.HandleHelper{AccessTokenStrategy: strategy, AccessTokenStorage: store, Config: cfg},
		Config:       cfg,
	}
	idTokens := &idTokenHandler{p}
	// The proof handler looks for the code that the code handler made.
	cfg.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code, proof}
	cfg.handlers = map[string]fosite.TokenEndpointHandlers{
		oidc.AuthorizationCode: {code, proof, idTokens},
		oidc.RefreshToken:      {&refreshHandler{p}, idTokens},
		oidc.ClientCredentials: {machine},
		oidc.DeviceCode:        {p.deviceGrant(), idTokens},
		oidc.CIBA:              {p.backchannelGrant(), idTokens},
	}
	return &engine{fosite.NewOAuth2Provider(store, cfg)}
}

func fositeConfig(p *Provider) *fosite.Config {
	return &fosite.Config{
		AccessTokenLifespan:                p.Config.AccessTokenLifespan,
		VerifiableCredentialsNonceLifespan: p.Config.AccessTokenLifespan,
		RefreshTokenLifespan:               p.Config.RefreshIdle,
		AuthorizeCodeLifespan:              p.Config.CodeLifespan,
		IDTokenLifespan:                    p.Config.IDTokenLifespan,
		IDTokenIssuer:                      p.Config.Issuer,
		AccessTokenIssuer:                  p.Config.Issuer,
		ScopeStrategy:                      fosite.ExactScopeStrategy,
		// Resource indicators are checked before fosite, which knows none.
		AudienceMatchingStrategy:       func(_, _ []string) error { return nil },
		EnforcePKCE:                    true,
		EnforcePKCEForPublicClients:    true,
		EnablePKCEPlainChallengeMethod: false,
		AllowedPromptValues:            prompts(),
		TokenURL:                       p.endpoint("/token"),
		JWKSFetcherStrategy:            noFetching{},
		TokenEntropy:                   32,
		RedirectSecureChecker:          fosite.IsRedirectURISecure,
		RefreshTokenScopes:             []string{}, // whether there is one is a matter of the client's grant types
		MinParameterEntropy:            1,          // see tolerateNoState
		ClientAuthenticationStrategy: func(ctx context.Context, _ *http.Request, _ url.Values) (fosite.Client, error) {
			return workFrom(ctx).fositeClient(), nil // authenticated before fosite is asked
		},
		ResponseModeHandlerExtension:    &fosite.DefaultResponseModeHandler{},
		FormPostHTMLTemplate:            template.New("unused"),
		OmitRedirectScopeParam:          true,
		SanitationWhiteList:             []string{"redirect_uri", "nonce", "dpop_jkt"},
		JWTScopeClaimKey:                jwt.JWTScopeFieldString,
		ClientSecretsHasher:             noHashing{},
		HTTPClient:                      &retryablehttp.Client{},
		HMACHasher:                      func() hash.Hash { return sha512.New512_256() },
		GrantTypeJWTBearerMaxDuration:   p.Config.AccessTokenLifespan,
		PushedAuthorizeRequestURIPrefix: "urn:ietf:params:oauth:request_uri:",
		PushedAuthorizeContextLifespan:  p.Config.CodeLifespan,
		HashCost:                        fosite.DefaultBCryptWorkFactor,
	}
}

// request runs the first half of a grant: fosite parses it and its handlers
// judge it. What they refuse comes back as an oauthError.
func (e *engine) request(ctx context.Context, f form) (fosite.AccessRequester, error) {
	r := &http.Request{Method: http.MethodPost, Header: http.Header{}, Form: f.values, PostForm: f.values} //nolint:forbidigo // a field of a request, not http.PostForm
	requester, err := e.NewAccessRequest(ctx, r, &session{})
	if err != nil {
		return nil, workFrom(ctx).explain(err)
	}
	return requester, nil
}

// respond runs the second half, which makes the tokens.
func (e *engine) respond(ctx context.Context, requester fosite.AccessRequester) (*tokenResponse, error) {
	made, err := e.NewAccessResponse(ctx, requester)
	if err != nil {
		return nil, workFrom(ctx).explain(err)
	}
	answer := &tokenResponse{AccessToken: made.GetAccessToken(), TokenType: tokenType(workFrom(ctx).jkt), Details: workFrom(ctx).details}
	answer.IDToken, _ = made.GetExtra("id_token").(string)
	answer.RefreshToken, _ = made.GetExtra("refresh_token").(string)
	return answer, nil
}

// noFetching is in the place of fosite's JWKS fetcher, which would follow any
// address that a client names.
type noFetching struct{}

// Resolve implements fosite.JWKSFetcherStrategy.
func (noFetching) Resolve(context.Context, string, bool) (*josev3.JSONWebKeySet, error) {
	return nil, errNotUsed
}

// noHashing is in the place of fosite's bcrypt, which costs a thousand times
// the request and guards no better a secret of 256 random bits.
type noHashing struct{}

// Compare implements fosite.Hasher; it fails closed.
func (noHashing) Compare(context.Context, []byte, []byte) error { return errNotUsed }

// Hash implements fosite.Hasher.
func (noHashing) Hash(context.Context, []byte) ([]byte, error) { return nil, errNotUsed }

var errNotUsed = errors.New("oauth: fosite reached for something that it must not use")

// engineClient is a client as fosite sees it.
type engineClient struct{ *oidc.Client }

func (c engineClient) GetID() string                   { return c.ID }
func (c engineClient) GetHashedSecret() []byte         { return nil } // fosite compares none
func (c engineClient) GetRedirectURIs() []string       { return c.Metadata.RedirectURIs }
func (c engineClient) GetGrantTypes() fosite.Arguments { return c.Metadata.GrantTypes }
func (c engineClient) GetScopes() fosite.Arguments     { return oidc.SplitScope(c.Metadata.Scope) }
func (c engineClient) IsPublic() bool                  { return c.Public() }
func (c engineClient) GetAudience() fosite.Arguments   { return c.Metadata.Resources }

// GetResponseTypes is code: fosite makes nothing else, and whether the client
// may have one was checked before.
func (c engineClient) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }

// GetResponseModes are those that keep a code out of the fragment.
func (c engineClient) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeDefault, fosite.ResponseModeQuery, fosite.ResponseModeFormPost}
}
