// Package registration lets clients register themselves (RFC 7591, OpenID
// Connect Dynamic Client Registration 1.0) and look after what they registered
// (RFC 7592).
//
//	POST   /connect/register        metadata.go: what a stranger may ask for, and defaults -> client.Register
//	GET    /connect/register/{id}   with the registration access token
//	PUT    /connect/register/{id}   replaces all metadata
//	DELETE /connect/register/{id}   ends the client with everything granted to it
//
// A policy says who may: nobody, who brings an initial access token of an
// operator's, or (in development only) everybody. What a stranger registers is
// never first-party, never a resource server and never has the admin scope;
// people are asked for consent, always. Registrations are limited per network,
// and swept when nobody has signed in by it for 90 days, unless it acts for itself.
package registration
