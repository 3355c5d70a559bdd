package bearer

import (
	"net/http"
	"net/url"

	"larder/internal/dpop"
	"larder/internal/web"
)

const resourceMetadata = "/.well-known/oauth-protected-resource"

// metadata is the document of RFC 9728 §2.
type metadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	ScopesSupported      []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	ResourceName         string   `json:"resource_name"`
	DPoPAlgs             []string `json:"dpop_signing_alg_values_supported,omitempty"`
	DPoPRequired         bool     `json:"dpop_bound_access_tokens_required"`
	MTLSBound            bool     `json:"tls_client_certificate_bound_access_tokens"`
}

// Mount serves GET /.well-known/oauth-protected-resource (RFC 9728 §3): whose
// tokens are taken here, and with which scopes.
func (g *Gate) Mount(rt *web.Router) {
	doc := metadata{
		Resource:             g.config.Resource,
		AuthorizationServers: []string{g.config.Issuer},
		ScopesSupported:      g.config.Scopes,
		BearerMethods:        []string{"header"},
		ResourceName:         "Larder grocery API",
		MTLSBound:            g.config.Certificates,
	}
	if g.proofs != nil {
		doc.DPoPAlgs = dpop.Algorithms()
	}
	path := resourceMetadata
	if u, err := url.Parse(g.metadataURL); err == nil {
		path = u.EscapedPath()
	}
	rt.Handle(http.MethodGet, path, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Cache-Control", "public, max-age=300")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		return web.JSON(w, http.StatusOK, doc)
	})
}
