// Package auditchain proves that nobody changed an audit log, and has the log
// forget what is older than it is kept. Both services' logs lie in the same
// tables, each in its schema; that of the authserver is one chain, of Nobody.
//
//	events ──> audit_chain: hash(n) = SHA-256(hash(n-1) || canonical JSON of event n)   (RFC 8785)
//	             │ head, signed (EdDSA)
//	             ├──> audit_checkpoints, one a day, and once an hour the log outside
//	             └──> audit_bases: behind which entry the chain begins, once older ones were forgotten
//
// Behind the requests, and on one replica at a time, Chain links what can have
// no predecessor any more. Verifying finds events that were changed, deleted,
// swapped or put between, and by the checkpoints a tail that was cut off; a head
// that was cut off too, because only whoever signs can say where a chain begins.
// Whoever can rewrite events, chain and checkpoints alike is found out by a
// checkpoint that was kept elsewhere.
package auditchain
