package client

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"larder/authserver/oidc"
	"larder/internal/fault"
)

const (
	maxName   = 200 // characters
	maxURI    = 2048
	maxURIs   = 20
	maxScopes = 50
)

// Rules say which metadata may be registered.
type Rules struct {
	ResourceServers []oidc.ResourceServer
	FrontChannel    bool // the implicit and the hybrid flow may be registered for
	// Reachable returns what is wrong with an address that we are to call; nil
	// lets every one be registered.
	Reachable func(uri string) error
	// Certificates says that clients can show theirs (RFC 8705), CertificateCAs
	// that there are authorities which vouch for them.
	Certificates, CertificateCAs bool
}

// Check fills in the defaults of RFC 7591 §2 and returns every fault of m as
// one fault.Invalid, nil if there is none.
func (r Rules) Check(m *oidc.Metadata) error {
	setDefaults(m)
	c := &check{m: m, rules: r}
	c.name()
	c.grants()
	c.trust()
	c.authentication()
	c.certificates()
	c.profile()
	c.redirects("redirect_uris", m.RedirectURIs)
	c.redirects("post_logout_redirect_uris", m.PostLogoutRedirectURIs)
	c.scope()
	c.resources()
	c.keys()
	c.answers()
	c.algorithms()
	c.fetched()
	c.pages()
	c.logout()
	c.backchannel()
	if len(c.faults) > 0 {
		return fault.New(fault.Invalid, "The client's metadata is not acceptable.").
			WithCode("invalid_client_metadata").WithFields(c.faults...)
	}
	return nil
}

func setDefaults(m *oidc.Metadata) {
	if m.TokenEndpointAuthMethod == "" {
		m.TokenEndpointAuthMethod = oidc.ClientSecretBasic
	}
	if len(m.GrantTypes) == 0 {
		m.GrantTypes = []string{oidc.AuthorizationCode}
	}
	if len(m.ResponseTypes) == 0 && slices.Contains(m.GrantTypes, oidc.AuthorizationCode) {
		m.ResponseTypes = []string{"code"}
	}
	if m.BackchannelDelivery == "" && slices.Contains(m.GrantTypes, oidc.CIBA) {
		m.BackchannelDelivery = oidc.DeliveryPoll
	}
}

// check collects the faults of one registration.
type check struct {
	m      *oidc.Metadata
	rules  Rules
	faults []fault.Field
}

func (c *check) fault(pointer, format string, args ...any) {
	c.faults = append(c.faults, fault.Field{Pointer: "/" + pointer, Detail: fmt.Sprintf(format, args...)})
}

func (c *check) public() bool { return c.m.TokenEndpointAuthMethod == oidc.AuthMethodNone }

func (c *check) name() {
	n := c.m.ClientName
	switch {
	case strings.TrimSpace(n) == "":
		c.fault("client_name", "must not be empty")
	case !utf8.ValidString(n) || utf8.RuneCountInString(n) > maxName:
		c.fault("client_name", "must be at most %d characters", maxName)
	case strings.ContainsFunc(n, unprintable):
		c.fault("client_name", "must not hold control characters")
	}
}

// unprintable tells what could make a name look like another one on a page.
func unprintable(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

func (c *check) grants() {
	known := []string{oidc.AuthorizationCode, oidc.RefreshToken, oidc.ClientCredentials, oidc.DeviceCode, oidc.CIBA, oidc.TokenExchange, oidc.JWTBearer}
	if c.rules.FrontChannel {
		known = append(known, oidc.Implicit)
	}
	for i, g := range c.m.GrantTypes {
		if !slices.Contains(known, g) {
			c.fault(fmt.Sprintf("grant_types/%d", i), "must be one of %s", strings.Join(known, ", "))
		}
	}
	code := slices.Contains(c.m.GrantTypes, oidc.AuthorizationCode)
	c.responses(code, slices.Contains(c.m.GrantTypes, oidc.Implicit))
	if slices.Contains(c.m.GrantTypes, oidc.RefreshToken) && !code && !slices.Contains(c.m.GrantTypes, oidc.DeviceCode) && !slices.Contains(c.m.GrantTypes, oidc.CIBA) {
		c.fault("grant_types", "refresh_token needs authorization_code, the device grant or CIBA")
	}
	if slices.Contains(c.m.GrantTypes, oidc.ClientCredentials) && c.public() {
		c.fault("grant_types", "a public client cannot use client_credentials") // RFC 6749 §4.4
	}
}

// responses checks the response types against the grants that they need (RFC
// 7591 §2.1, OpenID Connect Registration §2).
func (c *check) responses(code, implicit bool) {
	known := []string{"code"}
	if c.rules.FrontChannel {
		known = append(known, oidc.FrontChannelTypes()...)
	}
	for i, text := range c.m.ResponseTypes {
		t := oidc.ResponseType(text)
		c.m.ResponseTypes[i] = t
		words := strings.Fields(t)
		switch {
		case !slices.Contains(known, t):
			c.fault(fmt.Sprintf("response_types/%d", i), "must be one of: %s", strings.Join(known, ", "))
		case slices.Contains(words, "code") && !code:
			c.fault("response_types", "%s needs grant type authorization_code", t)
		case t != "code" && !implicit:
			c.fault("response_types", "%s needs grant type implicit", t)
		}
	}
	if implicit && len(c.m.ResponseTypes) == 0 {
		c.fault("response_types", "must be given for grant type implicit")
	}
	if (code || implicit) && len(c.m.RedirectURIs) == 0 {
		c.fault("redirect_uris", "must not be empty for grant type authorization_code or implicit")
	}
}

func (c *check) authentication() {
	known := slices.Concat([]string{oidc.ClientSecretBasic, oidc.ClientSecretPost, oidc.ClientSecretJWT, oidc.PrivateKeyJWT, oidc.AuthMethodNone},
		c.rules.certificateMethods())
	if !slices.Contains(known, c.m.TokenEndpointAuthMethod) {
		c.fault("token_endpoint_auth_method", "must be one of %s", strings.Join(known, ", "))
	}
	if c.public() && c.m.RequirePKCE != nil && !*c.m.RequirePKCE {
		c.fault("require_pkce", "a public client always needs PKCE")
	}
	if c.public() && c.m.IntrospectResource != "" {
		c.fault("introspect_resource", "a public client cannot introspect")
	}
}

func (c *check) redirects(member string, uris []string) {
	if len(uris) > maxURIs {
		c.fault(member, "must be at most %d", maxURIs)
		return
	}
	for i, uri := range uris {
		if err := redirectURI(uri, c.public()); err != "" {
			c.fault(fmt.Sprintf("%s/%d", member, i), "%s", err)
		}
	}
}

// redirectURI says what is wrong with a redirect URI, "" if nothing is. It may
// be https; http on loopback (RFC 8252 §7.3); and for public clients a
// private-use scheme, which has a dot (RFC 8252 §7.1).
func redirectURI(raw string, public bool) string {
	if len(raw) > maxURI {
		return fmt.Sprintf("must be at most %d bytes", maxURI)
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '*' }) {
		return "must hold printable ASCII only, and no backslash or asterisk"
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || !u.IsAbs():
		return "must be an absolute URI"
	case strings.Contains(raw, "#"):
		return "must not have a fragment" // RFC 6749 §3.1.2
	case u.User != nil:
		return "must not have user information"
	case u.Scheme == "https":
		if u.Hostname() == "" {
			return "must have a host"
		}
		return ""
	case u.Scheme == "http":
		if !loopback(u.Hostname()) {
			return "must be https, or http on localhost, 127.0.0.1 or [::1]"
		}
		return ""
	case strings.Contains(u.Scheme, "."):
		if !public {
			return "only a public client may use a private-use scheme"
		}
		return ""
	}
	return "must be https, http on loopback, or a private-use scheme such as com.example.app"
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

func (c *check) scope() {
	scopes := oidc.SplitScope(c.m.Scope)
	if len(scopes) > maxScopes {
		c.fault("scope", "must be at most %d scopes", maxScopes)
		return
	}
	known := c.rules.scopes()
	for _, s := range scopes {
		if !slices.Contains(known, s) {
			c.fault("scope", "%q is not a scope of this server: %s", s, strings.Join(known, " "))
		}
	}
	if strings.Join(scopes, " ") != c.m.Scope {
		c.m.Scope = strings.Join(scopes, " ")
	}
}

// scopes lists what may be registered at all.
func (r Rules) scopes() []string {
	known := []string{
		oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeAddress, oidc.ScopePhone,
		oidc.ScopeOfflineAccess, oidc.ScopeAdmin,
	}
	for _, rs := range r.ResourceServers {
		known = append(known, rs.Scopes...)
	}
	return known
}

func (c *check) resources() {
	known := func(resource string) bool {
		return slices.ContainsFunc(c.rules.ResourceServers, func(rs oidc.ResourceServer) bool { return rs.Resource == resource })
	}
	for i, t := range c.m.AuthorizationDetailsTypes {
		if !slices.Contains(oidc.DetailTypes(), t) {
			c.fault(fmt.Sprintf("authorization_details_types/%d", i), "must be one of %s", strings.Join(oidc.DetailTypes(), ", "))
		}
	}
	for i, resource := range c.m.Resources {
		if !known(resource) {
			c.fault(fmt.Sprintf("resources/%d", i), "is not a resource server of this server")
		}
	}
	if resource := c.m.IntrospectResource; resource != "" && !known(resource) {
		c.fault("introspect_resource", "is not a resource server of this server")
	}
}

// pages checks the links that people are shown.
func (c *check) pages() {
	for _, link := range []struct{ member, raw string }{
		{"logo_uri", c.m.LogoURI},
		{"client_uri", c.m.ClientURI},
		{"policy_uri", c.m.PolicyURI},
		{"tos_uri", c.m.TOSURI},
		{"initiate_login_uri", c.m.InitiateLoginURI},
	} {
		if link.raw == "" {
			continue
		}
		u, err := url.Parse(link.raw)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(link.raw) > maxURI {
			c.fault(link.member, "must be an https address")
		}
	}
}
