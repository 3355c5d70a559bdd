// Package password hashes and checks passwords: Argon2id (RFC 9106) in PHC
// strings, and the rules for new ones (NIST SP 800-63B-4 §3.1.1).
//
//	Verify --> queue (bounded) --> permit --> before() --> Argon2id --> ok, stale
//	              '-- full: fault.Unavailable with Retry-After
//
// How strong a new password is, is estimated after the manner of zxcvbn: the
// cheapest way to put it together from words, runs, rows of keys and repeats
// (guess.go, docs/decisions/0013).
//
// A hash takes 19 MiB and tens of milliseconds, so only as many run at once as
// there are permits; memory is then permits x 19 MiB however many people sign
// in. before runs while a permit is held: what it counts is bounded by the
// permits, not by the crowd in the queue. The server has worker processes hash
// (docs/decisions/0062), so that whoever is signed in already does not wait for
// those who sign in:
//
//	Hasher --> Workers --- task ---> Work: another process, niceness 10, with
//	              |                  pauses while others want the processors
//	              '--- none: here
package password
