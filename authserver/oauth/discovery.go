package oauth

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"larder/authserver/oidc"
	"larder/internal/dpop"
	"larder/internal/language"
	"larder/internal/web"
)

// discoveryLifetime is how long anyone may cache the discovery documents.
const discoveryLifetime = 5 * time.Minute

// metadata is the document of OpenID Connect Discovery 1.0 §3 and of RFC 8414
// §2, which differ in their address only. It promises what works and nothing
// else.
type metadata struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	UserinfoEndpoint      string `json:"userinfo_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	EndSessionEndpoint    string `json:"end_session_endpoint"`
	PAREndpoint           string `json:"pushed_authorization_request_endpoint"`
	DeviceEndpoint        string `json:"device_authorization_endpoint"`
	BackchannelEndpoint   string `json:"backchannel_authentication_endpoint"`
	RegistrationEndpoint  string `json:"registration_endpoint,omitempty"`

	MTLSAliases *endpointAliases `json:"mtls_endpoint_aliases,omitempty"`

	ScopesSupported          []string `json:"scopes_supported"`
	ResponseTypesSupported   []string `json:"response_types_supported"`
	ResponseModesSupported   []string `json:"response_modes_supported"`
	GrantTypesSupported      []string `json:"grant_types_supported"`
	SubjectTypesSupported    []string `json:"subject_types_supported"`
	IDTokenSigningAlgs       []string `json:"id_token_signing_alg_values_supported"`
	IDTokenEncryptionAlgs    []string `json:"id_token_encryption_alg_values_supported"`
	IDTokenEncryptionEncs    []string `json:"id_token_encryption_enc_values_supported"`
	UserinfoSigningAlgs      []string `json:"userinfo_signing_alg_values_supported"`
	UserinfoEncryptionAlgs   []string `json:"userinfo_encryption_alg_values_supported"`
	UserinfoEncryptionEncs   []string `json:"userinfo_encryption_enc_values_supported"`
	ACRValuesSupported       []string `json:"acr_values_supported"`
	PromptValuesSupported    []string `json:"prompt_values_supported"`
	DisplayValuesSupported   []string `json:"display_values_supported"`
	ClaimTypesSupported      []string `json:"claim_types_supported"`
	ClaimsSupported          []string `json:"claims_supported"`
	CodeChallengeMethods     []string `json:"code_challenge_methods_supported"`
	TokenAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs            []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs    []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs       []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	DPoPAlgs                 []string `json:"dpop_signing_alg_values_supported"`
	UILocales                []string `json:"ui_locales_supported"`
	DetailTypes              []string `json:"authorization_details_types_supported"`
	MTLSBoundTokens          bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	IssInAuthResponse        bool     `json:"authorization_response_iss_parameter_supported"`
	ClaimsParameter          bool     `json:"claims_parameter_supported"`
	RequestParameter         bool     `json:"request_parameter_supported"`
	RequestURIParameter      bool     `json:"request_uri_parameter_supported"`
	RequirePAR               bool     `json:"require_pushed_authorization_requests"`
	RequireRequestURIs       bool     `json:"require_request_uri_registration"`
	RequestObjectAlgs        []string `json:"request_object_signing_alg_values_supported"`
	RequireRequestObject     bool     `json:"require_signed_request_object"`
	AuthorizationAlgs        []string `json:"authorization_signing_alg_values_supported"`
	AuthorizationEncAlgs     []string `json:"authorization_encryption_alg_values_supported"`
	AuthorizationEncEncs     []string `json:"authorization_encryption_enc_values_supported"`
	IntrospectionAlgs        []string `json:"introspection_signing_alg_values_supported"`
	IntrospectionEncAlgs     []string `json:"introspection_encryption_alg_values_supported"`
	IntrospectionEncEncs     []string `json:"introspection_encryption_enc_values_supported"`

	BackchannelDeliveryModes []string `json:"backchannel_token_delivery_modes_supported"`
	BackchannelRequestAlgs   []string `json:"backchannel_authentication_request_signing_alg_values_supported"`
	BackchannelUserCode      bool     `json:"backchannel_user_code_parameter_supported"`

	CheckSessionIframe        string `json:"check_session_iframe,omitempty"`
	BackchannelLogout         bool   `json:"backchannel_logout_supported"`
	BackchannelLogoutSession  bool   `json:"backchannel_logout_session_supported"`
	FrontchannelLogout        bool   `json:"frontchannel_logout_supported"`
	FrontchannelLogoutSession bool   `json:"frontchannel_logout_session_supported"`
}

// mountMetadata mounts what clients and resource servers learn about us.
func (p *Provider) mountMetadata(rt *web.Router) {
	body, _ := json.Marshal(p.metadata()) // strings and booleans always encode
	doc := newDocument(body, discoveryLifetime)
	rt.Handle(http.MethodGet, "/.well-known/openid-configuration", doc.serve)
	rt.Handle(http.MethodGet, "/.well-known/oauth-authorization-server", doc.serve)
	rt.Handle(http.MethodGet, "/jwks", p.handleJWKS)
}

func (p *Provider) metadata() metadata {
	issuer := p.Config.Issuer
	authMethods := append([]string{oidc.ClientSecretBasic, oidc.ClientSecretPost, oidc.ClientSecretJWT, oidc.PrivateKeyJWT}, p.certificateMethods()...)
	m := metadata{
		Issuer:                issuer,
		AuthorizationEndpoint: issuer + "/authorize",
		TokenEndpoint:         issuer + "/token",
		UserinfoEndpoint:      issuer + "/userinfo",
		JWKSURI:               issuer + "/jwks",
		IntrospectionEndpoint: issuer + "/introspect",
		RevocationEndpoint:    issuer + "/revoke",
		EndSessionEndpoint:    issuer + "/logout",
		PAREndpoint:           issuer + "/par",
		DeviceEndpoint:        issuer + "/device_authorization",
		BackchannelEndpoint:   issuer + backchannelPath,

		ScopesSupported: []string{
			oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeAddress, oidc.ScopePhone, oidc.ScopeOfflineAccess,
		},
		ResponseTypesSupported: p.responseTypesSupported(),
		ResponseModesSupported: responseModes(),
		GrantTypesSupported:    []string{oidc.AuthorizationCode, oidc.RefreshToken, oidc.ClientCredentials, oidc.DeviceCode, oidc.CIBA, oidc.TokenExchange, oidc.JWTBearer},
		SubjectTypesSupported:  []string{oidc.SubjectPublic, oidc.SubjectPairwise},
		IDTokenSigningAlgs:     p.Keys.Algorithms(),
		IDTokenEncryptionAlgs:  oidc.KeyManagementAlgs(),
		IDTokenEncryptionEncs:  oidc.ContentEncryptionAlgs(),
		UserinfoSigningAlgs:    p.Keys.Algorithms(),
		UserinfoEncryptionAlgs: oidc.KeyManagementAlgs(),
		UserinfoEncryptionEncs: oidc.ContentEncryptionAlgs(),
		ACRValuesSupported:     acrSupported(),
		PromptValuesSupported:  prompts(),
		DisplayValuesSupported: []string{"page"},
		ClaimTypesSupported:    []string{"normal"},
		ClaimsSupported:        claimsSupported(),
		CodeChallengeMethods:   []string{"S256"},

		TokenAuthMethods:         slices.Concat(authMethods, []string{oidc.AuthMethodNone}),
		TokenAuthAlgs:            algorithmNames(assertionAlgorithms()),
		IntrospectionAuthMethods: authMethods, // a public client cannot introspect
		IntrospectionAuthAlgs:    algorithmNames(assertionAlgorithms()),
		RevocationAuthMethods:    slices.Concat(authMethods, []string{oidc.AuthMethodNone}),
		RevocationAuthAlgs:       algorithmNames(assertionAlgorithms()),

		DetailTypes:       oidc.DetailTypes(),
		UILocales:         language.Tags(),
		DPoPAlgs:          dpop.Algorithms(),
		IssInAuthResponse: true,
		ClaimsParameter:   true,
		MTLSAliases:       p.aliases(),
		MTLSBoundTokens:   p.Config.MTLSURL != "",

		BackchannelDeliveryModes: oidc.DeliveryModes(),
		BackchannelRequestAlgs:   algorithmNames(clientAlgorithms()),

		BackchannelLogout: true, BackchannelLogoutSession: true,
		FrontchannelLogout: true, FrontchannelLogoutSession: true,

		RequestParameter:    true,
		RequestURIParameter: true,
		RequireRequestURIs:  true,
		RequestObjectAlgs:   algorithmNames(clientAlgorithms()),

		AuthorizationAlgs:    p.Keys.Algorithms(),
		AuthorizationEncAlgs: oidc.KeyManagementAlgs(),
		AuthorizationEncEncs: oidc.ContentEncryptionAlgs(),
		IntrospectionAlgs:    p.Keys.Algorithms(),
		IntrospectionEncAlgs: oidc.KeyManagementAlgs(),
		IntrospectionEncEncs: oidc.ContentEncryptionAlgs(),
	}
	if p.BrowserStates != nil {
		m.CheckSessionIframe = issuer + checkSessionPath
	}
	if p.Config.FrontChannel {
		m.ResponseModesSupported = append(m.ResponseModesSupported, "fragment", "fragment.jwt")
		m.GrantTypesSupported = append(m.GrantTypesSupported, oidc.Implicit)
	}
	if p.Config.Registration {
		m.RegistrationEndpoint = issuer + "/connect/register"
	}
	for _, rs := range p.Config.ResourceServers {
		m.ScopesSupported = append(m.ScopesSupported, rs.Scopes...)
	}
	return m
}

// claimsSupported lists what the ID token and the userinfo endpoint may hold.
func claimsSupported() []string {
	claims := []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"}
	return append(claims, claimsOf(claimScopes())...)
}
