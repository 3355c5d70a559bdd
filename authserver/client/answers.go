package client

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"larder/authserver/oidc"
	"larder/internal/fault"
)

const (
	maxDefaultAge  = 10 * 365 * 24 * 3600 // seconds
	maxACRValues   = 10
	maxACRValueLen = 200
)

// Fetcher reads what clients publish; outbound.Client does.
type Fetcher interface {
	Get(ctx context.Context, address string, header http.Header) ([]byte, error)
}

// answers checks how a client wants to be told of people: ID tokens and
// userinfo (OpenID Connect Registration §2).
func (c *check) answers() {
	m := c.m
	c.oneOf("id_token_signed_response_alg", m.IDTokenSignedAlg, oidc.SigningAlgs())
	c.oneOf("userinfo_signed_response_alg", m.UserinfoSignedAlg, oidc.SigningAlgs())
	c.encryption("id_token_encrypted_response", m.IDTokenEncryptedAlg, m.IDTokenEncryptedEnc)
	c.encryption("userinfo_encrypted_response", m.UserinfoEncryptedAlg, m.UserinfoEncryptedEnc)
	c.encryption("authorization_encrypted_response", m.AuthorizationEncryptedAlg, m.AuthorizationEncryptedEnc)
	c.encryption("introspection_encrypted_response", m.IntrospectionEncryptedAlg, m.IntrospectionEncryptedEnc)
	if age := m.DefaultMaxAge; age != nil && (*age < 0 || *age > maxDefaultAge) {
		c.fault("default_max_age", "must be 0 to %d seconds", maxDefaultAge)
	}
	long := func(value string) bool { return value == "" || len(value) > maxACRValueLen }
	if len(m.DefaultACRValues) > maxACRValues || slices.ContainsFunc(m.DefaultACRValues, long) {
		c.fault("default_acr_values", "must be at most %d, of at most %d bytes", maxACRValues, maxACRValueLen)
	}
	c.subjects()
}

func (c *check) oneOf(member, value string, known []string) {
	if value != "" && !slices.Contains(known, value) {
		c.fault(member, "must be one of %s", strings.Join(known, ", "))
	}
}

// encryption needs a key among the client's own to encrypt to, or an address
// where the client publishes it.
func (c *check) encryption(member, alg, enc string) {
	c.oneOf(member+"_alg", alg, oidc.KeyManagementAlgs())
	c.oneOf(member+"_enc", enc, oidc.ContentEncryptionAlgs())
	switch {
	case alg == "" && enc != "":
		c.fault(member+"_enc", "needs %s_alg", member)
	case alg != "" && c.m.JWKSURI == "" && (c.m.JWKS == nil || oidc.EncryptionKey(c.m.JWKS.Keys, alg) == nil):
		c.fault(member+"_alg", "needs a key for it in jwks, with use enc or none, or a jwks_uri where it is")
	}
}

// subjects checks that a client with pairwise subjects belongs to one sector
// (OpenID Connect Core §8.1).
func (c *check) subjects() {
	c.oneOf("subject_type", c.m.SubjectType, []string{oidc.SubjectPublic, oidc.SubjectPairwise})
	if len(c.m.SectorIdentifierURI) > maxURI {
		c.fault("sector_identifier_uri", "must be at most %d bytes", maxURI)
	}
	if c.m.SubjectType != oidc.SubjectPairwise {
		return
	}
	if knownByKeys(c.m) && !showsKeys(c.m) {
		c.fault("jwks_uri", "must be there for pairwise subjects where no redirect URI says whose client it is, and the client must show a key of it each time: "+
			"by private_key_jwt, self_signed_tls_client_auth, or signed CIBA requests")
	}
	if c.m.SectorIdentifierURI != "" {
		return
	}
	sector := c.m.Sector()
	for _, uri := range members(c.m) {
		if other := (&oidc.Metadata{SectorIdentifierURI: uri}); other.Sector() != sector {
			sector = ""
		}
	}
	if sector == "" {
		c.fault("sector_identifier_uri", "must be there for pairwise subjects, unless all redirect_uris, and the jwks_uri where it counts, have one host")
	}
}

// knownByKeys reports whether tokens come to the client without passing one of
// its redirect URIs. Anybody can register somebody else's addresses; what shows
// whose client it is are then the keys of its jwks_uri (OpenID CIBA Core §4).
func knownByKeys(m *oidc.Metadata) bool {
	return len(m.RedirectURIs) == 0 || slices.Contains(m.GrantTypes, oidc.DeviceCode) || slices.Contains(m.GrantTypes, oidc.CIBA)
}

// showsKeys reports whether the client gets no token without a key of its
// jwks_uri.
func showsKeys(m *oidc.Metadata) bool {
	if m.JWKSURI == "" {
		return false
	}
	signs := m.BackchannelRequestAlg != "" && !slices.ContainsFunc(m.GrantTypes, func(g string) bool { return g != oidc.CIBA && g != oidc.RefreshToken })
	return signs || m.TokenEndpointAuthMethod == oidc.PrivateKeyJWT || m.TokenEndpointAuthMethod == oidc.SelfSignedTLSClientAuth
}

// members are the addresses of the client that must belong to its sector.
func members(m *oidc.Metadata) []string {
	if m.SubjectType == oidc.SubjectPairwise && knownByKeys(m) {
		return append(slices.Clone(m.RedirectURIs), m.JWKSURI)
	}
	return m.RedirectURIs
}

// check judges metadata by the rules and, if it names a sector, by what is
// published there: a list in which all of the client's redirect URIs stand
// (OpenID Connect Registration §5), and its jwks_uri if that is what it is known
// by (OpenID CIBA Core §4).
func (s *Clients) check(ctx context.Context, m *oidc.Metadata) error {
	if err := s.Rules.Check(m); err != nil || m.SectorIdentifierURI == "" {
		return err
	}
	bad := func(detail string, cause error) error {
		return fault.Wrap(fault.Invalid, "The client's metadata is not acceptable.", cause).
			WithCode("invalid_client_metadata").WithFields(fault.Field{Pointer: "/sector_identifier_uri", Detail: detail})
	}
	if s.Fetch == nil {
		return bad("is not supported here", nil)
	}
	body, err := s.Fetch.Get(ctx, m.SectorIdentifierURI, http.Header{"Accept": {"application/json"}})
	if err != nil {
		return bad("must be an https address that answers with a JSON array", err)
	}
	var published []string
	if err := json.Unmarshal(body, &published); err != nil {
		return bad("must answer with a JSON array of URIs", err)
	}
	for _, uri := range members(m) {
		if !slices.Contains(published, uri) {
			return bad("does not list every redirect URI of the client, or its jwks_uri where that counts", nil)
		}
	}
	return nil
}
