package oauth

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/mtls"
	"larder/internal/web"
)

// ClientCAs vouches for the certificates of clients: the chain must lead to one
// of the authorities that the operator trusts.
type ClientCAs interface {
	Verify(ctx context.Context, chain []*x509.Certificate) error
}

// endpointAliases are where clients show certificates (RFC 8705 §5). A browser
// that came there would ask people which certificate to send.
type endpointAliases struct {
	TokenEndpoint         string `json:"token_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	UserinfoEndpoint      string `json:"userinfo_endpoint"`
	PAREndpoint           string `json:"pushed_authorization_request_endpoint"`
	DeviceEndpoint        string `json:"device_authorization_endpoint"`
	BackchannelEndpoint   string `json:"backchannel_authentication_endpoint"`
}

// aliases are those endpoints, nil where no certificate can be shown.
func (p *Provider) aliases() *endpointAliases {
	base := p.Config.MTLSURL
	if base == "" {
		return nil
	}
	return &endpointAliases{
		TokenEndpoint: base + "/token", RevocationEndpoint: base + "/revoke", IntrospectionEndpoint: base + "/introspect",
		UserinfoEndpoint: base + "/userinfo", PAREndpoint: base + "/par", DeviceEndpoint: base + "/device_authorization",
		BackchannelEndpoint: base + backchannelPath,
	}
}

// MountAliases adds to rt the endpoints that programs call, for a listener that
// asks for certificates.
func (p *Provider) MountAliases(rt *web.Router) {
	p.mountToken(rt)
	p.mountPushed(rt)
	p.mountDevice(rt)
	p.mountBackchannel(rt)
	p.mountTokens(rt)
}

// certificateMethods are the methods of RFC 8705 §2 that we can offer.
func (p *Provider) certificateMethods() []string {
	switch {
	case p.Config.MTLSURL == "":
		return nil
	case p.ClientCAs == nil:
		return []string{oidc.SelfSignedTLSClientAuth}
	}
	return []string{oidc.TLSClientAuth, oidc.SelfSignedTLSClientAuth}
}

// checkCertificate authenticates by a certificate of an authority (RFC 8705
// §2.1): one that we trust vouches for the name that is registered.
func (p *Provider) checkCertificate(ctx context.Context, client *oidc.Client, chain []*x509.Certificate) error {
	switch {
	case len(chain) == 0:
		return errors.New("the request came without a certificate")
	case p.ClientCAs == nil:
		return errors.New("no authority for the certificates of clients is configured")
	case !client.Metadata.CertificateSubject().Matches(chain[0]):
		return errors.New("the certificate is for another subject: " + chain[0].Subject.String())
	}
	return p.ClientCAs.Verify(ctx, chain)
}

// checkRegisteredCertificate authenticates by a certificate that the client has
// registered with its keys, or publishes with them (RFC 8705 §2.2). Nobody else
// vouches for it, and it is good until it stands there no more.
func (p *Provider) checkRegisteredCertificate(ctx context.Context, client *oidc.Client, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("the request came without a certificate")
	}
	among := func(keys []jose.JSONWebKey) bool {
		return slices.ContainsFunc(keys, func(key jose.JSONWebKey) bool {
			return len(key.Certificates) > 0 && key.Certificates[0].Equal(chain[0])
		})
	}
	unknown := errors.New("the certificate is not one that the client has registered")
	address := client.Metadata.JWKSURI
	switch {
	case client.Metadata.JWKS != nil && among(client.Metadata.JWKS.Keys):
		return nil
	case client.Metadata.JWKS != nil || address == "":
		return unknown
	}
	keys, err := p.PublishedKeys.Keys(ctx, address)
	if err != nil {
		return fault.Wrap(fault.Invalid, "The keys of the client cannot be read at its jwks_uri.", err)
	}
	if among(keys) {
		return nil
	}
	if keys, ok := p.PublishedKeys.Renewed(ctx, address); ok && among(keys) {
		return nil
	}
	return unknown
}

// boundCertificate is the thumbprint of the certificate that the tokens of this
// request will be bound to, "" for a client that is not registered so (RFC 8705
// §3).
func boundCertificate(r *http.Request, client *oidc.Client) (string, error) {
	if !client.Metadata.CertificateBound {
		return "", nil
	}
	x5t := mtls.Thumbprint(mtls.From(r.Context()))
	if x5t == "" {
		return "", newError(invalidRequest, "The client's tokens are bound to a certificate, and the request came without one.")
	}
	return x5t, nil
}

// refreshCertificate is the certificate that refresh tokens are bound to: as
// with keys, only those of a public client (RFC 8705 §4).
func (w *work) refreshCertificate() string {
	if w.client.Public() {
		return w.x5t
	}
	return ""
}
