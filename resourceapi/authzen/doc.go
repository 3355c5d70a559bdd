// Package authzen answers who may do what before anybody tries it (OpenID
// AuthZEN Authorization API 1.0), so that a front end need not repeat the
// policy. It asks the same engine about the same facts as the request itself
// would.
//
//	POST /access/v1/evaluation       one question
//	POST /access/v1/evaluations      up to 100, each with its own answer or error
//	POST /access/v1/search/subject   who may do this
//	POST /access/v1/search/resource  what this may be done to
//	POST /access/v1/search/action    what may be done with this
//	GET  /.well-known/authzen-configuration
//
//	questions, by family -> one round trip: the caller's standing, lists, members, subjects, grants
//	searches             -> one round trip for each family: a page of rows that row-level security shows
//	                     -> himself: tenant.Tx.Judge     another: tenant.Tx.Suppose     (no trace of either)
//
// What the caller may not know of is denied, as what does not exist, and never
// found. The request's properties and context are taken and not believed: time,
// place and sign-in are what they are for the request itself. A search finds
// what an evaluation permits (docs/decisions/0086).
package authzen
