// Package keys holds the keys of the authserver: those that sign tokens, and
// the symmetric ones that seal sessions and make refresh tokens. They lie in
// Postgres, sealed by a key-encryption key from the configuration, and are in
// memory, ready for use, while the server runs.
//
// A signing key lives so, each span long enough for the slowest verifier:
//
//	published ──(JWKS lifetime + margin)──> active ──(30 days)──> replaced ──(24 h)──> retired
//	  in the JWKS, signs nothing yet         signs new tokens       still verifies        deleted
//
// Every replica reads the tables every few seconds, so that what one of them
// publishes all of them publish long before it is used. One replica rotates:
// whoever takes the advisory lock first; the others find the work done. The
// request path never touches the database, save that a token with an unknown
// key id may cause one read a second.
//
//	Postgres --Refresh--> state (immutable, swapped whole) --> Sign, Verify, JWKS, DataKeys, MACKeys
//	   ^                        |
//	   '--- Rotate, Maintain <--'  (when something is missing or due)
package keys
