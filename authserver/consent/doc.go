// Package consent remembers which client a person lets do what, and asks.
//
//	GET  /consent?flow=ID  who asks, for which account, what each scope means
//	POST /consent          allow: Grant, and the flow is approved by this session
//	                       deny:  the flow is denied
//	                       both:  303 to /authorize/continue?flow=ID
//
// An approval belongs to the person, the session and the request that the page
// showed: if another account signed in meanwhile, or the flow is another
// browser's, nothing is approved and the question is put again.
//
// What is remembered only grows by consent, and goes by Withdraw, which ends
// the client's grants too.
package consent
