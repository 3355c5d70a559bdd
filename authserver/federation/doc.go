// Package federation lets people sign in with Google and Apple.
//
//	POST /login action=google|apple    Begin: a transaction in Redis, a cookie
//	  |                                that binds it to this browser
//	  v  state, nonce, PKCE
//	provider --GET-------------------> /login/google/callback
//	         --form_post-------------> /login/apple/callback  park, then 303
//	                                          |               to the same by GET
//	                                          v
//	   take the transaction, once -> exchange the code -> verify the ID token
//	     |
//	     +- we know (issuer, subject)    second factor if owed -> session
//	     +- nobody has the address       an account is made, verified from birth
//	     +- somebody has the address     /login/link: the account's password, and
//	     |                               its second factor, before they are linked
//	     '- somebody links it            the session that began, /account/identities
//
// An identity is issuer and subject; an address is never enough to get into an
// account. An address that the provider has not verified is worth nothing.
//
// The providers also speak to us by themselves:
//
//	POST /federation/google/events         security event tokens (RFC 8417, RISC)
//	POST /federation/apple/notifications   Apple's server-to-server notifications
//	     verify -> act once: sessions end, identities go or are suspended
//
// goth makes the request and Apple's client secret; state, nonce, PKCE, the
// binding to a browser and the verification of tokens are ours and go-oidc's.
package federation
