// Package crash kills both services, again and again, in the midst of what they do, and then holds what they
// acknowledged against what is there:
//
//	writers  ── POST, PUT, PATCH, DELETE, sync ──> resourceapi   kill -9, start, kill -9 …
//	sessions ── refresh_token ───────────────────> authserver    kill -9, start, kill -9 …
//
// A write that was answered is in the list, in the feed and in the audit log. One that was not is sent again until it is
// answered, and then is there once. A rotation that was not answered is asked for again, and nobody is logged out.
package crash
