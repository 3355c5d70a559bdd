// Package oauth speaks OAuth 2.0 and OpenID Connect: every protocol endpoint
// is here, one file each, and nothing outside imports ory/fosite.
//
// An authorization request waits until the person has signed in and agreed; the
// pages for that belong to other features and send the browser back here.
//
//	POST /authorize -> authorize_post.go (Redis) -> 303 GET /authorize/posted
//	GET /authorize ---------.
//	                        v        no session, prompt, max_age
//	              authorize_request.go ---------> 303 /login?flow=ID ---.
//	              (who asks, for what)   not covered by a consent       |
//	                        |      `------------> 303 /consent?flow=ID -|
//	                        v                                           |
//	              authorize.go: decide <---- /authorize/continue?flow=ID
//	                        v
//	              303 redirect_uri?code&state&iss      store_code.go (Redis)
//
//	POST /par: form.go -> client_auth.go -> authorize_request.go -> par.go (Redis)
//	    and /authorize?client_id&request_uri goes on with what was pushed
//
//	At both, request_object.go first replaces a request that its client signed
//	(RFC 9101) by what it says: nothing behind it knows of request objects. With
//	response_mode jwt signed_response.go signs the answer, be it an error (JARM).
//
//	POST /token: form.go -> client_auth.go -> token.go -> fosite
//	    authorization_code   grant_authorization_code.go   one Redis, one Postgres
//	    refresh_token        grant_refresh_token.go        one Postgres statement, for all that come together
//	    device_code          grant_decoupled.go            one Redis, one Postgres
//	    ciba                 grant_decoupled.go            two Postgres
//	    client_credentials   grant_client_credentials.go   neither
//	    token-exchange       grant_token_exchange.go       neither, and no fosite
//	    jwt-bearer           grant_jwt_bearer.go           one Redis, and no fosite
//	    and with a DPoP proof (dpop.go, one Redis) what is issued is bound to its
//	    key: the access token always, refresh tokens of public clients (RFC 9449)
//
//	POST /device_authorization, /bc-authorize: a person is asked elsewhere
//	    (packages device and ciba), and the client polls /token
//
//	GET|POST /logout -> end_session.go -> one Postgres transaction: grants,
//	    revocation, audit event, a job for each client (package logout)
//	    -> 303, or a page with frames (frontchannel_logout.go)
//
// # fosite
//
// fosite v0.49 parses, validates and dispatches; it is frozen upstream and
// several of its defaults are unsafe, so it is held as follows. engine.go
// chooses its handlers for each request and sets every field of its
// configuration. A unit of work travels in the request's context (work.go) and
// serves fosite's storage interfaces from memory, so that a code is consumed by
// one atomic command and a grant is written by one statement. Tokens, client
// authentication, refresh, ID tokens and every answer are ours. What its
// defaults do instead is kept in traps_test.go.
//
// # Errors
//
// An oauthError is answered as JSON (RFC 6749 §5.2), a redirectError goes back
// to the client through the browser (§4.1.2.1), and any other error of the
// authorization endpoint is shown to the person on a page, because the request
// did not prove where it may be sent.
package oauth
