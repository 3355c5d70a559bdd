package oidc

import "github.com/go-jose/go-jose/v4"

// SigningAlgs are the algorithms by which a client may have its ID tokens and
// userinfo answers signed (RFC 7518 §3, RFC 8037 §3.1), our default first.
func SigningAlgs() []string {
	return []string{string(jose.ES256), string(jose.RS256), string(jose.EdDSA), string(jose.PS256)}
}

// KeyManagementAlgs are those by which the keys of what is encrypted to a
// client may be wrapped or agreed on (RFC 7518 §4).
func KeyManagementAlgs() []string {
	return []string{string(jose.RSA_OAEP_256), string(jose.ECDH_ES), string(jose.ECDH_ES_A256KW)}
}

// ContentEncryptionAlgs are those by which their content may be encrypted (RFC
// 7518 §5), the default of OpenID Connect Registration §2 first.
func ContentEncryptionAlgs() []string {
	return []string{string(jose.A128CBC_HS256), string(jose.A128GCM), string(jose.A256GCM)}
}
