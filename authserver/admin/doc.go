// Package admin guards the admin API, /admin/v1, and serves the parts of it
// that belong to no other feature: users and the audit log. Clients, API keys
// and signing keys are served by their own packages behind the same Gate.
//
//	Bearer at+jwt: audience the issuer, scope admin
//	  '-> a user: an operator, read fresh from the database
//	  '-> a client for itself: registered with scope admin
//	        '-> Actor(ctx) names it in the audit log
//
// Errors are application/problem+json; a token that is missing or not enough
// is answered with the challenge of RFC 6750 §3.
package admin
