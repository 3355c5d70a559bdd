// Package ciba lets a client ask a person whom it names, and who is not at its
// screen (OpenID Client-Initiated Backchannel Authentication Core 1.0): somebody
// calls the shop, and approves on the own phone what was ordered there.
//
//	client: POST /bc-authorize -> Begin     (package oauth; a row, and a mail with it)
//	person: GET  /account/requests          who asks, for what, with which binding message
//	        POST action=allow|deny -> Approve or Deny     (the row, and a ping with it)
//	client: its notification endpoint is pinged           (mode ping; PingWorker)
//	        POST /token, every 5 s -> Poll  (package oauth)
//
// The dangers are a client that pesters people, one that finds out who has an
// account, and a person who approves what somebody else began. So a person has at
// most three requests waiting, of all clients together, and few in an hour; the
// mail holds nothing that a client wrote; a request for somebody who is not here
// is answered, kept and counted like any other, and waits in vain; and the page
// says who asks, from where, and what must stand on the other screen.
//
// An auth_req_id has 256 bits and lies as its hash. The row's state decides each
// step, so that an approval is good once whatever comes at the same time.
package ciba
