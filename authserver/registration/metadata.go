package registration

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/secret"
	"larder/internal/web"
)

const (
	maxBody     = 64 << 10 // bytes of a registration
	usualScopes = "openid profile email address phone offline_access"
)

// request is the body of a registration: the metadata that we know and, behind
// it, what must be refused because ignoring it would promise something else.
// Members that are not known here are ignored (RFC 7591 §2).
type request struct {
	oidc.Metadata

	SoftwareStatement   string `json:"software_statement"`
	RequestObjectEncAlg string `json:"request_object_encryption_alg"`
	BackchannelUserCode bool   `json:"backchannel_user_code_parameter"`

	// These belong to an update only (RFC 7592 §2.2).
	ClientID     string        `json:"client_id"`
	ClientSecret secret.String `json:"client_secret"`
	// These are ours to say, and may not be sent with an update.
	RegistrationAccessToken json.RawMessage `json:"registration_access_token"`
	RegistrationClientURI   json.RawMessage `json:"registration_client_uri"`
	SecretExpiresAt         json.RawMessage `json:"client_secret_expires_at"`
	IssuedAt                json.RawMessage `json:"client_id_issued_at"`
}

func invalidMetadata(member, detail string) error {
	return fault.New(fault.Invalid, "The metadata is not acceptable.").WithFields(fault.Field{Pointer: "/" + member, Detail: detail})
}

func readRequest(w http.ResponseWriter, r *http.Request) (*request, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, fault.New(fault.UnsupportedMedia, "The body must be application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, web.ReadFault(err)
	}
	var req request
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, fault.Wrap(fault.Invalid, "The body is not a JSON object of client metadata.", err)
	}
	return &req, req.refuseUnsupported()
}

// refuseUnsupported names the first member that asks for what we cannot do.
func (req *request) refuseUnsupported() error {
	const not = "is not supported"
	switch {
	case req.SoftwareStatement != "":
		return invalidMetadata("software_statement", not)
	case req.RequestObjectEncAlg != "":
		return invalidMetadata("request_object_encryption_alg", not)
	case req.BackchannelUserCode:
		return invalidMetadata("backchannel_user_code_parameter", not)
	}
	return nil
}

// metadata is what is registered: what the client asks for, without what only
// an operator may give, and with the defaults of OpenID Connect Registration §2.
func (h *Handler) metadata(req *request) (oidc.Metadata, error) {
	m := req.Metadata
	m.FirstParty, m.IntrospectResource, m.RequirePKCE = false, "", nil
	m.MayAct, m.TrustedIssuers = nil, nil
	if slices.Contains(m.GrantTypes, oidc.TokenExchange) || slices.Contains(m.GrantTypes, oidc.JWTBearer) {
		return m, invalidMetadata("grant_types", "token exchange and JWT bearer are for clients that an operator registers")
	}
	public := m.TokenEndpointAuthMethod == oidc.AuthMethodNone
	if h.Policy.WithoutPKCE && !public && m.Profile != oidc.ProfileFAPI2 {
		m.RequirePKCE = new(bool) // false: old relying parties know no PKCE
	}
	if m.IDTokenSignedAlg == "" {
		m.IDTokenSignedAlg = "RS256"
	}
	if m.Profile == oidc.ProfileFAPI2 {
		m.DPoPBound = m.DPoPBound || !m.CertificateBound // the profile leaves no other choice
		if req.IDTokenSignedAlg == "" {
			m.IDTokenSignedAlg = "ES256"
		}
	}
	if m.Scope == "" {
		m.Scope = usualScopes
		if slices.Equal(m.GrantTypes, []string{oidc.ClientCredentials}) {
			m.Scope = strings.Join(h.apiScopes(), " ")
		}
	}
	if slices.Contains(oidc.SplitScope(m.Scope), oidc.ScopeAdmin) {
		return m, invalidMetadata("scope", "admin is for clients that an operator registers")
	}
	if len(m.Resources) == 0 {
		for _, rs := range h.ResourceServers {
			m.Resources = append(m.Resources, rs.Resource)
		}
	}
	if strings.TrimSpace(m.ClientName) == "" {
		m.ClientName = nameFrom(m.RedirectURIs)
	}
	return m, nil
}

func (h *Handler) apiScopes() []string {
	var scopes []string
	for _, rs := range h.ResourceServers {
		scopes = append(scopes, rs.Scopes...)
	}
	return scopes
}

// nameFrom has people see where a client without a name sends them.
func nameFrom(redirectURIs []string) string {
	if len(redirectURIs) > 0 {
		if u, err := url.Parse(redirectURIs[0]); err == nil && u.Hostname() != "" {
			return "Unnamed app at " + u.Hostname()
		}
	}
	return "Unnamed app"
}

// refuseReserved holds an update to RFC 7592 §2.2.
func (req *request) refuseReserved(c *oidc.Client) error {
	for _, ours := range []struct {
		name  string
		value json.RawMessage
	}{
		{"registration_access_token", req.RegistrationAccessToken},
		{"registration_client_uri", req.RegistrationClientURI},
		{"client_secret_expires_at", req.SecretExpiresAt},
		{"client_id_issued_at", req.IssuedAt},
	} {
		if len(ours.value) > 0 {
			return invalidMetadata(ours.name, "must not be sent")
		}
	}
	if req.ClientID != c.ID {
		return invalidMetadata("client_id", "must be the client's own")
	}
	matches := func(sum []byte) bool { return secret.Matches(req.ClientSecret.Reveal(), sum) }
	if req.ClientSecret != "" && !slices.ContainsFunc(c.SecretHashes, matches) {
		return invalidMetadata("client_secret", "must be the present one, or be left out")
	}
	return nil
}
