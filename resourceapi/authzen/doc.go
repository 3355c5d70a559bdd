// Package authzen answers what the caller may do before he tries it (OpenID
// AuthZEN Authorization API 1.0), so that a front end need not repeat the
// policy. It asks the same engine about the same facts as the request itself
// would, and a caller may ask about himself only.
//
//	POST /access/v1/evaluation      one question
//	POST /access/v1/evaluations     up to 100
//	POST /access/v1/search/action   what he may do with a thing
//	GET  /.well-known/authzen-configuration
//
//	questions, by family -> one round trip: the caller's standing, lists, members
//	                     -> tenant.Tx.Judge, which leaves no trace
//
// What the caller may not know of is denied, as what does not exist. The
// request's context is taken and not believed: time, place and sign-in are
// what they are for the request itself.
package authzen
