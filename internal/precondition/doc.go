// Package precondition turns row versions into entity tags and back, so that
// nobody overwrites what he has not seen (RFC 9110 §8.8.3, §13.1).
//
//	answer    SetETag        ETag: "7"
//	request   Check(r, 7)    If-Match: "7" -> nil, "6" -> 412, none -> nil
//	          Require(r, 7)  the same, none -> 428 (RFC 6585 §3)
//	          NotModified    If-None-Match: "7" -> 304
//
// An answer that also shows what depends on who looks, such as his permissions,
// has a tag of both: "7.1x2y3z". Only the version counts in If-Match.
package precondition
