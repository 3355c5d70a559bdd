// Package crash takes from both services, again and again, in the midst of what they do, themselves and what they stand
// on, and then holds what they acknowledged against what is there:
//
//	writers  ── POST, PUT, PATCH, DELETE, sync ──> resourceapi ──┐   kill -9, start, kill -9 …
//	sessions ── refresh_token ───────────────────> authserver ───┤   kill -9, start, kill -9 …
//	                                                             └──> PostgreSQL   kill -9, cut lines, lost answers
//	receiver <── webhooks        mailbox <── mails
//
// A write that was answered is in the list, in the feed, in the audit log and at the receiver. One that was not is sent
// again until it is answered, and then is there once. A rotation that was not answered is asked for again, and nobody is
// logged out. An upgrade, which takes away both services in turn and changes the schema under them, fails nothing at all.
package crash
