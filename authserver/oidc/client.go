package oidc

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"larder/internal/id"
	"larder/internal/mtls"
)

// Client authentication methods (RFC 7591 §2).
const (
	ClientSecretBasic = "client_secret_basic"
	ClientSecretPost  = "client_secret_post"
	ClientSecretJWT   = "client_secret_jwt"
	PrivateKeyJWT     = "private_key_jwt"
	AuthMethodNone    = "none"

	TLSClientAuth           = "tls_client_auth"             // RFC 8705 §2.1
	SelfSignedTLSClientAuth = "self_signed_tls_client_auth" // RFC 8705 §2.2
)

// Grant types (RFC 7591 §2).
const (
	AuthorizationCode = "authorization_code"
	RefreshToken      = "refresh_token"
	ClientCredentials = "client_credentials"
	Implicit          = "implicit"                                     // only where the operator allows it
	DeviceCode        = "urn:ietf:params:oauth:grant-type:device_code" // RFC 8628 §3.4
	CIBA              = "urn:openid:params:grant-type:ciba"            // OpenID CIBA Core §10.1
)

// Grant types that an operator alone may register.
const (
	TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange" //nolint:gosec // RFC 8693 §2.1
	JWTBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"     //nolint:gosec // RFC 7523 §2.1
)

// How a client of CIBA comes to its tokens (OpenID CIBA Core §5).
const (
	DeliveryPoll = "poll"
	DeliveryPing = "ping"
)

// DeliveryModes are those; there is no push, which would send tokens to an
// address.
func DeliveryModes() []string { return []string{DeliveryPoll, DeliveryPing} }

// Profiles say what is demanded of a client beyond the rules for all.
const (
	ProfileOIDC  = "oidc"
	ProfileFAPI2 = "fapi2" // FAPI 2.0 Security Profile
)

// Subject types (OpenID Connect Core §8).
const (
	SubjectPublic   = "public"
	SubjectPairwise = "pairwise"
)

// Client is a registered client as the running server knows it. It is shared
// between requests and must not be changed.
type Client struct {
	ID           string
	SecretHashes [][]byte // secret.Sum of each secret in force, at most two
	// SealedSecrets are those secrets themselves, for client_secret_jwt and
	// nobody else.
	SealedSecrets [][]byte
	Metadata      Metadata
	Version       int64 // grows with each change
	CreatedAt     time.Time
	Disabled      bool
}

// Metadata is what is registered of a client: the members of RFC 7591 §2 and
// OpenID Connect Registration §2 under their own names, and ours behind them.
type Metadata struct {
	ClientName              string   `json:"client_name"`
	RedirectURIs            []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs  []string `json:"post_logout_redirect_uris,omitempty"`
	GrantTypes              []string `json:"grant_types"`
	ResponseTypes           []string `json:"response_types,omitempty"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method"`
	Scope                   string   `json:"scope"`                                  // space-separated ceiling of what may be asked for
	IDTokenSignedAlg        string   `json:"id_token_signed_response_alg,omitempty"` // "" is ES256
	IDTokenEncryptedAlg     string   `json:"id_token_encrypted_response_alg,omitempty"`
	IDTokenEncryptedEnc     string   `json:"id_token_encrypted_response_enc,omitempty"`
	UserinfoSignedAlg       string   `json:"userinfo_signed_response_alg,omitempty"` // "" is plain JSON
	UserinfoEncryptedAlg    string   `json:"userinfo_encrypted_response_alg,omitempty"`
	UserinfoEncryptedEnc    string   `json:"userinfo_encrypted_response_enc,omitempty"`
	SubjectType             string   `json:"subject_type,omitempty"` // "" is public
	SectorIdentifierURI     string   `json:"sector_identifier_uri,omitempty"`
	DefaultMaxAge           *int64   `json:"default_max_age,omitempty"`   // seconds
	RequireAuthTime         bool     `json:"require_auth_time,omitempty"` // auth_time is always there
	DefaultACRValues        []string `json:"default_acr_values,omitempty"`
	LogoURI                 string   `json:"logo_uri,omitempty"`
	ClientURI               string   `json:"client_uri,omitempty"`
	PolicyURI               string   `json:"policy_uri,omitempty"`
	TOSURI                  string   `json:"tos_uri,omitempty"`
	InitiateLoginURI        string   `json:"initiate_login_uri,omitempty"`

	// How the client hears that a session is over (OpenID Connect Back-Channel
	// and Front-Channel Logout 1.0 §2). A sid is told always, asked for or not.
	BackchannelLogoutURI              string `json:"backchannel_logout_uri,omitempty"`
	BackchannelLogoutSessionRequired  bool   `json:"backchannel_logout_session_required,omitempty"`
	FrontchannelLogoutURI             string `json:"frontchannel_logout_uri,omitempty"`
	FrontchannelLogoutSessionRequired bool   `json:"frontchannel_logout_session_required,omitempty"`

	// Profile is ProfileOIDC, which "" stands for, or ProfileFAPI2.
	Profile string `json:"profile,omitempty"`
	// DPoPBound clients get no token that is not bound to a key (RFC 9449 §5.2).
	DPoPBound bool `json:"dpop_bound_access_tokens,omitempty"`
	// CertificateBound clients get no token that is not bound to the certificate
	// which they come with (RFC 8705 §3.4).
	CertificateBound bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	// The one name that the certificate of a client with tls_client_auth must
	// bear (RFC 8705 §2.1.2): a distinguished name as text (RFC 4514), or an
	// alternative name.
	TLSSubjectDN string `json:"tls_client_auth_subject_dn,omitempty"`
	TLSDNS       string `json:"tls_client_auth_san_dns,omitempty"`
	TLSURI       string `json:"tls_client_auth_san_uri,omitempty"`
	TLSIP        string `json:"tls_client_auth_san_ip,omitempty"`
	TLSEmail     string `json:"tls_client_auth_san_email,omitempty"`
	// JWKS holds the client's public keys, for private_key_jwt and request
	// objects, and with x5c its certificates, for self_signed_tls_client_auth;
	// JWKSURI is where it publishes them instead. One of the two.
	JWKS    *jose.JSONWebKeySet `json:"jwks,omitempty"`
	JWKSURI string              `json:"jwks_uri,omitempty"`
	// TokenEndpointAuthAlg is the one algorithm of its client assertions, ""
	// for any that its profile allows.
	TokenEndpointAuthAlg string `json:"token_endpoint_auth_signing_alg,omitempty"`
	// RequestURIs are the addresses of its request objects (OpenID Connect Core
	// §6.2), matched whole, fragment and all.
	RequestURIs []string `json:"request_uris,omitempty"`
	// RequestObjectAlg is the one algorithm of its request objects, "" for any
	// that its profile allows.
	RequestObjectAlg string `json:"request_object_signing_alg,omitempty"`
	// RequireRequestObject clients sign every authorization request, and what
	// stands outside the request object does not count (RFC 9101 §6.3, §10.5).
	RequireRequestObject bool `json:"require_signed_request_object,omitempty"`
	// AuthorizationAlg signs authorization responses (JARM §3), and
	// IntrospectionAlg those of the introspection endpoint (RFC 9701 §6); ""
	// stands for the algorithm of the client's ID tokens. They are encrypted, too,
	// where the members behind them say so.
	AuthorizationAlg          string `json:"authorization_signed_response_alg,omitempty"`
	AuthorizationEncryptedAlg string `json:"authorization_encrypted_response_alg,omitempty"`
	AuthorizationEncryptedEnc string `json:"authorization_encrypted_response_enc,omitempty"`
	IntrospectionAlg          string `json:"introspection_signed_response_alg,omitempty"`
	IntrospectionEncryptedAlg string `json:"introspection_encrypted_response_alg,omitempty"`
	IntrospectionEncryptedEnc string `json:"introspection_encrypted_response_enc,omitempty"`
	// RequirePKCE is false only for an old confidential client that was
	// registered so; nil and true both demand a challenge (RFC 9700 §2.1.1).
	RequirePKCE *bool `json:"require_pkce,omitempty"`
	// Resources are the resource indicators (RFC 8707) that the client may
	// name; the first is the audience when it names none.
	Resources []string `json:"resources,omitempty"`
	// FirstParty clients belong to the operator and need no consent page.
	FirstParty bool `json:"first_party,omitempty"`
	// RequirePAR has the client push every authorization request (RFC 9126 §6).
	RequirePAR bool `json:"require_pushed_authorization_requests,omitempty"`
	// AuthorizationDetailsTypes are those that the client may send (RFC 9396 §10).
	AuthorizationDetailsTypes []string `json:"authorization_details_types,omitempty"`
	// BackchannelDelivery is how a client of CIBA learns of the person's answer, at
	// BackchannelNotificationEndpoint if it is pinged. With BackchannelRequestAlg
	// it signs each request, by that algorithm (OpenID CIBA Core §4).
	BackchannelDelivery             string `json:"backchannel_token_delivery_mode,omitempty"`
	BackchannelNotificationEndpoint string `json:"backchannel_client_notification_endpoint,omitempty"`
	BackchannelRequestAlg           string `json:"backchannel_authentication_request_signing_alg,omitempty"`
	// MayAct names the clients that may act with this one's tokens for the person
	// whom they speak of (RFC 8693 §4.4).
	MayAct []string `json:"may_act,omitempty"`
	// TrustedIssuers are those of whom the client may bring assertions (RFC 7523
	// §2.1).
	TrustedIssuers []TrustedIssuer `json:"trusted_issuers,omitempty"`
	// IntrospectResource makes the client the resource server of that
	// resource: it may introspect every token meant for it.
	IntrospectResource string `json:"introspect_resource,omitempty"`
}

// TrustedIssuer is somebody else whose word is taken on who a person is: by its
// keys, or those that it publishes, and for its subjects that are named here.
type TrustedIssuer struct {
	Issuer   string              `json:"issuer"`
	JWKS     *jose.JSONWebKeySet `json:"jwks,omitempty"`
	JWKSURI  string              `json:"jwks_uri,omitempty"`
	Subjects map[string]id.ID    `json:"subjects"` // its sub, and the user
	Disabled bool                `json:"disabled,omitempty"`
}

// Public reports whether the client has no credential (RFC 6749 §2.1).
func (c *Client) Public() bool { return c.Metadata.TokenEndpointAuthMethod == AuthMethodNone }

// HearsOfLogout reports whether the client wants to be told that a session is
// over.
func (c *Client) HearsOfLogout() bool {
	return c.Metadata.BackchannelLogoutURI != "" || c.Metadata.FrontchannelLogoutURI != ""
}

// FAPI2 reports whether the client is held to the FAPI 2.0 Security Profile.
func (c *Client) FAPI2() bool { return c.Metadata.Profile == ProfileFAPI2 }

// DPoPRequired reports whether every token of the client must be bound to a
// key by DPoP. The fapi2 profile demands tokens that only their sender can use,
// by a key or by a certificate.
func (c *Client) DPoPRequired() bool {
	return c.Metadata.DPoPBound || c.FAPI2() && !c.Metadata.CertificateBound
}

// AuthenticatesByCertificate reports whether the client's TLS certificate is
// its credential (RFC 8705 §2).
func (c *Client) AuthenticatesByCertificate() bool {
	return c.Metadata.TokenEndpointAuthMethod == TLSClientAuth || c.Metadata.TokenEndpointAuthMethod == SelfSignedTLSClientAuth
}

// CertificateSubject is the name that the certificate of a client with
// tls_client_auth must bear.
func (m *Metadata) CertificateSubject() mtls.Subject {
	return mtls.Subject{DN: m.TLSSubjectDN, DNS: m.TLSDNS, URI: m.TLSURI, IP: m.TLSIP, Email: m.TLSEmail}
}

// PKCERequired reports whether an authorization request of this client must
// carry a code_challenge. A public client's always must, and one of the fapi2
// profile.
func (c *Client) PKCERequired() bool {
	return c.Public() || c.FAPI2() || c.Metadata.RequirePKCE == nil || *c.Metadata.RequirePKCE
}

// PARRequired reports whether the client must push its authorization requests
// (RFC 9126 §5). One of the fapi2 profile must.
func (c *Client) PARRequired() bool { return c.Metadata.RequirePAR || c.FAPI2() }

// Pairwise reports whether the client knows people by subjects of its own.
func (c *Client) Pairwise() bool { return c.Metadata.SubjectType == SubjectPairwise }

// Sector is the sector identifier (OpenID Connect Core §8.1): clients of one
// sector know a person by the same subject. A client without redirect URIs is
// known by where it publishes its keys (OpenID CIBA Core §4). It is "" for one
// that has nothing of these.
func (m *Metadata) Sector() string {
	source := cmp.Or(m.SectorIdentifierURI, m.JWKSURI)
	if m.SectorIdentifierURI == "" && len(m.RedirectURIs) > 0 {
		source = m.RedirectURIs[0]
	}
	u, err := url.Parse(source)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// EncryptionKey is the first key to encrypt with by a key management algorithm
// of RFC 7518 §4, nil if there is none.
func EncryptionKey(keys []jose.JSONWebKey, alg string) *jose.JSONWebKey {
	for i := range keys {
		key := &keys[i]
		if key.Use != "" && key.Use != "enc" || key.Algorithm != "" && key.Algorithm != alg || !key.IsPublic() {
			continue
		}
		switch key.Key.(type) {
		case *rsa.PublicKey:
			if alg == string(jose.RSA_OAEP_256) {
				return key
			}
		case *ecdsa.PublicKey:
			if alg == string(jose.ECDH_ES) || alg == string(jose.ECDH_ES_A256KW) {
				return key
			}
		}
	}
	return nil
}

// AllowsGrant reports whether the client is registered for a grant type.
func (c *Client) AllowsGrant(grantType string) bool {
	return slices.Contains(c.Metadata.GrantTypes, grantType)
}
