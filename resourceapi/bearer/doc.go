// Package bearer finds out who is calling. It knows the issuer by its URL only
// and meets it over HTTP.
//
//	Authorization: Bearer CREDENTIAL          the header and nothing else (RFC 6750 §2.1),
//	Authorization: DPoP TOKEN                 or a bound token with its proof (RFC 9449 §7.1)
//	   |
//	   |- a.b.c        verified cache --miss--> typ, alg, kid -> JWKS -> signature -> iss, aud, exp, iat
//	   |                                        (RFC 9068 §4)     |
//	   |                                                          '- cached by max-age, refetched on an
//	   |                                                             unknown kid once per 30 s
//	   |                and with cnf: the proof in the DPoP header, once (internal/dpop, Redis),
//	   |                              or the certificate of the client (internal/mtls)
//	   '- lrd_live_…   introspected cache --miss--> POST introspection_endpoint (RFC 7662)
//	      or opaque
//	   |
//	revocation.Set, read each second from GET {issuer}/revocations: asked at every use
//	   v
//	Caller in the request's context, or an error for Gate.Problem (RFC 6750 §3)
//
// The issuer's outages. Keys serve for one hour after their max-age is over,
// then tokens get 503. Introspection answers serve from the cache (60 s) while
// the revocation feed is at most 4 s old; otherwise every use asks again, and
// gets 503 when the issuer does not answer. Access tokens go on being accepted
// without the feed: they live for minutes. Nothing passes unchecked, and no
// credential is called invalid because it could not be checked.
//
// Redis remembers used proofs. Without it bound tokens get 503, and nothing else
// does; where none is configured, bound tokens are not taken at all.
//
// A revocation takes effect here within a second or two. A service that has not
// read the feed since it started answers 503 and not yes.
package bearer
