package oauth

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiscoveryPromisesWhatWorks(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	oidcDoc := h.get(nil, "/.well-known/openid-configuration")
	if oidcDoc.status != http.StatusOK || oidcDoc.header.Get("Content-Type") != "application/json" ||
		oidcDoc.header.Get("Access-Control-Allow-Origin") != "*" || oidcDoc.header.Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("%d %v", oidcDoc.status, oidcDoc.header)
	}
	doc := oidcDoc.json(t)
	for member, want := range map[string]any{
		"issuer":                                         h.issuer,
		"authorization_endpoint":                         h.issuer + "/authorize",
		"end_session_endpoint":                           h.issuer + "/logout",
		"response_types_supported":                       []any{"code"},
		"subject_types_supported":                        []any{"public", "pairwise"},
		"code_challenge_methods_supported":               []any{"S256"},
		"id_token_signing_alg_values_supported":          []any{"ES256", "RS256", "EdDSA", "PS256"},
		"grant_types_supported":                          []any{"authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code", "urn:openid:params:grant-type:ciba", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"authorization_response_iss_parameter_supported": true,
		"request_parameter_supported":                    true,
		"request_uri_parameter_supported":                true,
		"require_request_uri_registration":               true,
		"request_object_signing_alg_values_supported":    []any{"ES256", "EdDSA", "PS256", "RS256"}, // and none is none of them
		"response_modes_supported":                       []any{"query", "form_post", "jwt", "query.jwt", "form_post.jwt"},
		"authorization_signing_alg_values_supported":     []any{"ES256", "RS256", "EdDSA", "PS256"},
		"introspection_signing_alg_values_supported":     []any{"ES256", "RS256", "EdDSA", "PS256"},
	} {
		if diff := cmp.Diff(want, doc[member]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", member, diff)
		}
	}
	if rfc8414 := h.get(nil, "/.well-known/oauth-authorization-server"); rfc8414.body != oidcDoc.body {
		t.Error("the two documents differ")
	}
	var scopes []any
	for s := range strings.FieldsSeq("openid profile email address phone offline_access family:read family:write lists:read lists:write audit:read") {
		scopes = append(scopes, s)
	}
	if diff := cmp.Diff(scopes, doc["scopes_supported"]); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
}

func TestEveryAdvertisedEndpointIsThere(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for member, value := range h.get(nil, "/.well-known/openid-configuration").json(t) {
		address, ok := value.(string)
		if !ok || member == "issuer" {
			continue
		}
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := h.do(nil, h.request(method, address, nil))
			if a.status == http.StatusNotFound {
				t.Errorf("%s: %s %s is not there", member, method, address)
			}
		}
	}
}

func TestDiscoveryAndJWKSAreNotSentTwice(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
		first := h.get(nil, path)
		for match, want := range map[string]int{
			first.header.Get("Etag"):                 http.StatusNotModified,
			`"other", W/` + first.header.Get("Etag"): http.StatusNotModified,
			"*":                                      http.StatusNotModified,
			`"other"`:                                http.StatusOK,
		} {
			r := h.request(http.MethodGet, path, nil)
			r.Header.Set("If-None-Match", match)
			if a := h.do(nil, r); a.status != want || (a.status == http.StatusNotModified) != (a.body == "") {
				t.Errorf("%s If-None-Match %s: %d with %d bytes, want %d", path, match, a.status, len(a.body), want)
			}
		}
		if a := h.do(nil, h.request(http.MethodHead, path, nil)); a.status != http.StatusOK || a.body != "" {
			t.Errorf("HEAD %s: %d %q", path, a.status, a.body)
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			if a := h.do(nil, h.request(method, path, nil)); a.status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, a.status)
			}
		}
	}
}
