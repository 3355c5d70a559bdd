// Package link makes the links that mails carry and that are good once.
//
//	Issue -> row of auth.links, replacing the subject's older one of the purpose
//	URL   -> issuer + path + / + token (id and HMAC-SHA256 over purpose and id)
//	Look  -> what the link is about, as often as one likes: mail scanners do
//	Use   -> one DELETE … RETURNING in the transaction of what the link allows
//
// The token lies nowhere: it is made anew, with a key that is sealed in the
// database, when the mail is sent. Whoever reads the table can follow no link.
//
// A link that was used, was replaced, is too old, is for something else or was
// never ours is one and the same fault.NotFound.
package link
