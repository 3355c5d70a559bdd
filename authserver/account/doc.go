// Package account keeps the people who can sign in, and signs them in.
//
//	Accounts   users, e-mail addresses, passwords: Create, SetPassword,
//	           Authenticate, User, List, Disable
//	Handler    GET, POST /login and /account
//	Throttle   how often a password may be guessed
//
// A sign-in reads downward:
//
//	POST /login -> same origin? -> throttle (peek) -> hash permit
//	            -> throttle (count) -> Argon2id -> session -> 303
//
// Somebody without an account, with a wrong password or with a disabled account
// gets the same answer after the same work: an unknown account is checked
// against a hash that nothing fits.
//
// An e-mail address is one identity however it is spelt: Canonical decides.
package account
