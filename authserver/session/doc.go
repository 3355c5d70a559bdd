// Package session remembers who is signed in at a browser.
//
//	cookie: 256 random bits --SHA-256--> Redis key --> sealed record
//	                                                   (subject, sid, auth_time, acr, amr)
//
// Whoever reads Redis finds neither a cookie that works nor a readable record:
// the key is a hash, and the record is sealed to that key.
//
// A session ends after 14 days without use or 30 days in all. Each change of
// privilege (signing in, a second factor, signing in again) gets a new cookie
// and ends the old one, so that a cookie planted before is worth nothing after
// (session fixation). Signing in again as the same person keeps the sid, the
// name that tokens carry, so that a later logout still reaches every token.
//
// Whoever has given a password and owes a second factor has no session yet:
//
//	password --Hold--> cookie "signin", 10 minutes --Held--> second factor --Start--> session
//
// Devices is another cookie: it recognises a browser for a year, signed in or
// not, and proves nothing about the person.
package session
