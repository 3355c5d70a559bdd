package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"

	"larder/authserver/oidc"
)

// signatureFlags declares a flag for each member of a client's metadata that
// says who signs what, and by which key. The returned function writes those that
// were given into m.
func signatureFlags(flags *flag.FlagSet) func(m *oidc.Metadata) error {
	var requestURIs list
	keys := flags.String("jwks-file", "", "`file` with its public JWK set, for private_key_jwt and request objects, and with x5c\n"+
		"for self_signed_tls_client_auth")
	issuers := flags.String("trusted-issuers-file", "", "`file` with a JSON array of those whose assertions it may bring (RFC 7523): issuer, jwks or jwks_uri, subjects")
	keysURI := flags.String("jwks-uri", "", "`URI` where it publishes that set instead")
	authAlg := flags.String("auth-alg", "", "the one `algorithm` of its client assertions")
	requestAlg := flags.String("request-object-alg", "", "the one `algorithm` of its request objects: ES256, EdDSA, PS256 or RS256")
	flags.Var(&requestURIs, "request-uri", "`URI` of a request object of its, matched whole; may be repeated")
	signed := flags.Bool("require-signed-request-object", false, "it must sign its authorization requests (RFC 9101)")
	backchannelAlg := flags.String("backchannel-request-alg", "", "it signs its CIBA requests, by this `algorithm`: ES256, EdDSA, PS256 or RS256")
	responseAlg := flags.String("authorization-alg", "", "`algorithm` of signed authorization responses (JARM): ES256, RS256, EdDSA or PS256")
	introspectionAlg := flags.String("introspection-alg", "", "`algorithm` of signed introspection responses (RFC 9701)")
	return func(m *oidc.Metadata) error {
		var err error
		flags.Visit(func(f *flag.Flag) {
			switch f.Name {
			case "jwks-file":
				m.JWKSURI = ""
				err = errors.Join(err, readJSON(*keys, &m.JWKS))
			case "trusted-issuers-file":
				m.TrustedIssuers = nil
				err = errors.Join(err, readJSON(*issuers, &m.TrustedIssuers))
			case "jwks-uri":
				if m.JWKSURI = *keysURI; *keysURI != "" && *keys == "" {
					m.JWKS = nil // the keys move
				}
			case "auth-alg":
				m.TokenEndpointAuthAlg = *authAlg
			case "request-object-alg":
				m.RequestObjectAlg = *requestAlg
			case "request-uri":
				m.RequestURIs = requestURIs
			case "require-signed-request-object":
				m.RequireRequestObject = *signed
			case "backchannel-request-alg":
				m.BackchannelRequestAlg = *backchannelAlg
			case "authorization-alg":
				m.AuthorizationAlg = *responseAlg
			case "introspection-alg":
				m.IntrospectionAlg = *introspectionAlg
			}
		})
		return err
	}
}

func readJSON(file string, into any) error {
	raw, err := os.ReadFile(file) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
