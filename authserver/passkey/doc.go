// Package passkey keeps passkeys (WebAuthn Level 3) and signs people in by them.
//
//	Passkeys  Add and Keep (a new one), Ask and Check (a sign-in), List, Rename, Remove
//	Handler   /login/passkey, and by Act its part of /account/security
//
// Each ceremony begins with a challenge of ours that lies in Redis, for five
// minutes and one answer, and ends with the answer of the authenticator:
//
//	sign in   POST /login/passkey/options --challenge--> navigator.credentials.get
//	          POST /login/passkey: spend the challenge -> same browser? ->
//	          signature, origin, RP ID, user verified -> session with acr mfa
//	set up    button "passkey" -> page with the challenge -> navigator.credentials.create
//	          button "passkey-keep": spend the challenge -> same session? -> row
//
// A passkey is something that a person has and, since user verification is
// required of it, something that they know or are: it counts as two factors by
// itself. It is discoverable, so that nobody types an address first and the
// answer to everybody is the same. After a password it also serves as the second
// factor; the challenge is then good for that person's passkeys only.
//
// Attestation is not asked for: which make an authenticator is would not change
// what we do. A signature counter that runs backwards is an audit event and no
// refusal, as many authenticators have none.
package passkey
