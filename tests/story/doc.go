// Package story holds what Larder promises as stories, one per file in testdata, to be read by anybody. The people are
// those of the demo family: Ada runs it, Ben is a member, Gus a guest, Sam is a stranger with a family of his own, and
// Olive operates Larder. Each story has a copy of Larder to itself: both services, a database and a Redis. Those in
// testdata/family share one: they work on lists, or in families, that they make.
//
// Who does what:
//
//	person ada                          the browser that the next commands use
//	open /login                         go to a page
//	authorize web 'openid' [name=value] be sent to the authserver by a client
//	push web 'openid' [name=value]      …with a request that the client has pushed before
//	press login email … password …      fill in the form with the button, and press it
//	sees 'text' / alert 'text'          what the page says
//	look NAME 'expression (group)'      remember what stands on the page as $NAME
//	mailed ADDRESS 'subject'            wait for the mail, and remember where it leads as $LINK
//	totp NAME SECRET -1                 remember the code that an authenticator app shows, so many steps from now
//	returned [error=…]                  the browser is back at the client
//	redeem                              the client redeems the code that came back
//	signin ada web 'openid …'           all of that in one go
//
//	token machine grant_type=… …        a client asks the token endpoint
//	refresh web [TOKEN]                 …for new tokens
//	post web /introspect token=…        a client asks another endpoint
//	api ada GET /v1/families [BODY] [Name: value]
//	                                    ada calls the API with her newest access token; nobody calls it without any
//	credential name VALUE               …somebody else calls it with this
//	client name ID SECRET [URI]         a client that was registered in the story
//
//	status 403 / problem 403            how it was answered (problem: as RFC 9457 says)
//	json .items.0.name 'Milk'           what is in the answer; ! json: it is not there, or not so
//	header Name 'expression'            what is in its head
//	keep NAME .items.0.id               remember a member of the answer as $NAME
//	grab NAME 'expression (group)'      …or of what the last exec printed
//	within 5s 401 ada GET /v1/families  it comes to that in time; a member behind it must be there too
//
//	cut, freeze, mend postgres | redis  take a server away, let it hang, give it back
//	halt, crash, start authserver | resourceapi
//	exec authserver …                   an operator at the command line
package story
