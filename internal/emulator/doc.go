// Package emulator stands in for Google and Apple where there are no
// credentials: on a developer's machine and in tests. It speaks what they
// speak, so that the code that talks to it is the code that talks to them.
//
//	/google/o/oauth2/v2/auth   authorize: a page that takes email and allow or deny
//	/google/token              code + secret + PKCE verifier -> ID token (RS256)
//	/google/oauth2/v3/certs    its keys, which rotate
//	/apple/auth/authorize      form_post, the form field "user" at first consent only
//	/apple/auth/token          checks the client secret, a JWT signed by ES256
//	/apple/auth/revoke         takes refresh tokens back
//	/apple/auth/keys
//	/events                    sends a security event or notification to Larder
//
// Anybody may say there who they are: it listens on loopback only, and larder-dev
// starts it, never a service.
package emulator
