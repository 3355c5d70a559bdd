// Package audit lets a family read its own audit log: who did, and who was
// refused, what.
//
//	GET /v1/families/{family_id}/audit?action=&result=&actor=&since=&until=&limit=&cursor=
//
// Newest first. The log is written by package tenant; here it is only read.
package audit
