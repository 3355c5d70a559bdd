// Package mfa keeps second factors and asks for them: an authenticator app
// (TOTP, RFC 6238), recovery codes, and devices that are trusted for 30 days.
//
//	Factors  what a person has: Required, Check, Propose, Confirm, Remove …
//	Handler  /login/mfa, and its part of /account/security
//
// A sign-in passes here after the password:
//
//	POST /login --owes a factor--> held (no session yet) --303--> /login/mfa
//	POST /login/mfa: limit -> Check -> session with acr mfa -> 303 onward
//
// Somebody who is signed in by password alone comes to the same page when an
// application asks for more (acr_values, RFC 9470), and somebody without a
// factor is led to set one up there.
//
// A code is good once, over all replicas, because one UPDATE decides:
//
//	TOTP           SET last_step = $step WHERE last_step < $step
//	recovery code  SET used_at = now()   WHERE used_at IS NULL
//
// Setting up, replacing and removing a factor needs a sign-in of the last
// minutes, and the present factor where there is one: a password alone, or a
// session that was left open, changes nothing. Removing it ends the sessions and
// the grants that it had vouched for.
package mfa
