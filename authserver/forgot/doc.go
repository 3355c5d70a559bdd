// Package forgot gives people who forgot their password a new one.
//
//	POST /forgot          leave a job; the page says the same to everybody
//	     job              somebody has the address -> link and mail, in one transaction
//	GET  /forgot/{token}  asks for the new password; changes nothing
//	POST /forgot/{token}  verify: spend the link, set the password, end every
//	                      session, grant and other link of the account
//
// A link is for one account, lasts an hour, and dies when it is used, when a
// newer one is asked for, and when the password or the address changes. The
// mail goes to the address that the account has, as it is written there, never
// as it was typed here; its link begins with the configured issuer, never with
// what a request says of itself.
package forgot
