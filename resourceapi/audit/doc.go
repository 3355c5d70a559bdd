// Package audit lets a family read its own audit log: who did, and who was
// refused, what; and prove that nobody changed it since.
//
//	GET /v1/families/{family_id}/audit?action=&result=&actor=&target=&since=&until=&limit=&cursor=
//	GET …/audit/export   the same as NDJSON
//	GET …/audit/verify   is it as it was written?
//
// Newest first. The log is written by package tenant. Behind the requests, and
// on one replica at a time, Chain links what can have no predecessor any more:
//
//	hash(n) = SHA-256(hash(n-1) || canonical JSON of event n)   (RFC 8785)
//	head of a family, signed (EdDSA) -> audit_checkpoints, and once an hour the log outside
//
// Verifying finds events that were changed, deleted, swapped or put between, and
// by the checkpoints a tail that was cut off. Whoever can rewrite events, chain
// and checkpoints alike is found out by a checkpoint that was kept elsewhere.
package audit
