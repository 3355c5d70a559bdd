// Package mail writes to people.
//
//	Queue.Insert(tx, Letter) -> Worker -> Postman.Deliver
//	    is its link still good? -> Composer: text and HTML -> Sender
//	                                       SMTP with TLS, or a Directory of *.eml
//
// A letter is queued in the transaction of its cause and names its link by id
// only; the link's token is made when the mail is sent. A server that is away
// or slow delays the mail, never the request. A letter that is sent again after
// a crash carries the same Message-ID, and in a Directory it is the same file.
//
// Mails to addresses that nobody has proven yet repeat nothing that a stranger
// typed: whoever registers with another's address must not write to them.
package mail
