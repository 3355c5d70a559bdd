// Package audit lets a family read its own audit log: who did, saw and was
// refused what; and prove that nobody changed it since.
//
//	GET /v1/families/{family_id}/audit?action=&result=&actor=&target=&seen=&since=&until=&limit=&cursor=
//	GET …/audit/export   the same as NDJSON
//	GET …/audit/verify   is it as it was written?
//
// Newest first. The log is written by package tenant, chained and in time
// forgotten by internal/auditchain.
package audit
