// Package onetime sends codes of six digits by mail and by text message: the
// weaker second factor, for people who have no better one.
//
//	Codes    Ways, Send, Check; Enable and Disable, Propose and Confirm a number
//	Handler  by Act its part of /account/security
//	Worker   delivers a code
//
//	Send: limit -> row + job in one transaction -> Worker: still good? -> code -> mail or sms
//	Check: UPDATE … tries + 1 -> is it the code? -> DELETE decides who spends it
//
// A code is good for ten minutes, five tries, one sign-in, and in the browser
// that asked for it; the next one takes its place. It is a MAC over the id of its
// row, so that neither the row nor the queue holds it.
//
// Mail boxes are read with passwords and telephone numbers move by a call (SP
// 800-63B-4 §3.1.3): such a sign-in stays acr pwd, and a code counts for nothing
// once there is an authenticator app or a passkey.
package onetime
