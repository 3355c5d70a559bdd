// Package dpop checks that whoever sends a request holds a private key (RFC
// 9449). The authserver binds the tokens that it issues to that key; a resource
// server then takes such a token from nobody else.
//
// A proof is a small JWT in the DPoP header, signed with the key that it
// carries itself and made for this one request:
//
//	DPoP: HEADER.CLAIMS.SIGNATURE          one header, at most 4 KiB
//	   |
//	   |- typ dpop+jwt, alg of ours, jwk public          proof.go
//	   |- signature, by the jwk
//	   |- htm, htu: this method, this URL                url.go
//	   |- iat within a minute of now
//	   |- ath: the access token beside it
//	   |- the bound key, where there is one
//	   |- nonce: one of ours, where policy asks          nonce.go
//	   '- jti: never seen with this key                  replay.go, Redis
//	   v
//	Proof{Thumbprint}, to bind a token to or to compare
//
// Everything that costs nothing but the processor comes first, so that only a
// good proof reaches Redis. Without Redis the answer is fault.Unavailable: a
// proof whose first use cannot be told from its second is not accepted.
//
// A bad proof is fault.Invalid with one of the error codes of RFC 9449 §5 and
// §8. An authorization server answers it 400; a resource server answers 401
// with WWW-Authenticate: DPoP (§7.1, §9). Both send DPoP-Nonce with
// CodeUseNonce: see Verifier.OfferNonce.
package dpop
