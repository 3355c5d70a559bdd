// Package logout tells the applications of a session that it is over (OpenID
// Connect Back-Channel Logout 1.0).
//
//	code redeemed (package oauth) -> auth.session_clients: sid, client
//	signed out, here or from afar; account or password changed, disabled, deleted
//	  -> Notices.SessionEnded, Notices.UserEnded: the rows become jobs, in one
//	     transaction, so that each client is told once and none is forgotten
//	  -> Worker: logout token -> POST backchannel_logout_uri
//	       not answered with 2xx -> again, with a token of its own, for about
//	       an hour and a half; then an audit event says that it was given up
//
// A session that merely expires is told of to nobody: its tokens are over with
// it. Front-channel logout, which goes through the browser, is package oauth's.
package logout
