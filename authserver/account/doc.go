// Package account keeps the people who can sign in, and signs them in.
//
//	Accounts   users, e-mail addresses, passwords: Create, SetPassword,
//	           Authenticate, User, List, Disable
//	           SetClaims, RequestEmail and ConfirmEmail, Reset,
//	           RequestDeletion, Keep and DeleteDue
//	           Disown
//	Handler    /login, /account, /account/security, /account/email/{token}
//	Throttle   how often a password may be guessed, by Redis and PostgreSQL
//
// A sign-in reads downward:
//
//	POST /login -> same origin? -> throttle (peek) -> hash permit
//	            -> throttle (count) -> Argon2id -> session -> 303
//
// An attack that shows itself by its many sources or accounts closes the door to
// browsers that are not recognised for some minutes. The owner of an account
// hears of it by mail, and has the browser let in that opens the link there.
//
// Of a sign-in at a new browser its owner hears by mail too. Whoever says that it
// was not them, by the link there or among the recent sign-ins, ends it, its
// grants and what the browser was spared, and has the password asked for with a
// code by mail at new browsers until there is another.
//
// Somebody without an account, with a wrong password or with a disabled account
// gets the same answer after the same work: an unknown account is checked
// against a hash that nothing fits.
//
// Whatever could hand the account to somebody else (a new password, a new
// address, deletion) asks for the present password first, is told to the person
// by mail, and kills the links that are under way. A new address counts from
// when its own mailbox has answered.
//
// An e-mail address is one identity however it is spelt: Canonical decides.
package account
