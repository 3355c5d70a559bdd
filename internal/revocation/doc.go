// Package revocation remembers what was revoked before it expired. A token
// that verifies offline stays good until its exp; this small set, the same in
// both services, is consulted at every use and ends it sooner.
//
//	auth.revocations (Postgres)
//	   | authserver polls every 500 ms          -> Set (introspection, userinfo)
//	   '-> GET /revocations, polled every 1 s   -> Set (resourceapi's bearer)
//
// An entry covers credentials issued up to the moment of the revocation, so
// that a person who signs in again is not shut out.
package revocation
