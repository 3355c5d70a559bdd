// Package grant shows operators what people have given to clients, and takes it
// back. Grants are made and used by package oauth; here they are only looked at
// and ended.
//
//	GET    /admin/v1/grants?user_id=…&client_id=…   those in force, the newest first
//	DELETE /admin/v1/grants/{id}                    revoked, with a row of auth.revocations and an audit event
//
// A revoked grant has no refresh token any more, and within seconds none of its
// access tokens is taken.
package grant
