// Command bench measures both services against what this machine could do at all, in the same minute.
//
//	                 ┌── limit ──> bench limit: net/http handlers that do only the named work
//	bench ── jobs ──>│ bench load: raw keep-alive connections, closed loop
//	                 └── rows ───> authserver, resourceapi: release builds, a process each
//
// What each limit does, in a bare net/http handler without authentication, policy, log, metrics or storage but for this:
//
//	client_credentials   claims to JSON, one ES256 signature, the answer to JSON
//	refresh rotation     one UPDATE of one row, durable; then twice that, for an access and an ID token
//	jwks, discovery      a ready answer of the same size and header
//	introspection        such an answer; beside it, with one ES256 verification
//	password sign-in     reckoned: cores / the time of one Argon2id of 19 MiB and two passes, in the same run
//	GET a list           one SELECT of the same fifty rows and columns, into structs, by encoding/json
//	check off an item    one INSERT of one row, durable; such an answer; beside it, the item, the feed and the audit
//	                     log written in one statement, without a look at who may
//
// "refresh rotation beside 4 x sign-ins", and jwks, run beside four times the sign-ins that were measured; of those, what
// is too much has to be answered 503 with Retry-After. Their limit is the same work alone, and their ratio that of the
// p99 latencies: a third or more is at most three times as long.
//
// The limits use the same database server, through as many connections as a service has.
//
// What is large has rows of its own. Those called "much there" compare a site whose family has 200 lists and 50,000 items,
// among 2,000 other families, with an empty one: the limit is the same request there. Idle event streams are counted in
// resident memory. A policy decision is asked for in this process; its target is the median, for a shared machine takes the
// processor away at any time.
//
// Limit and service take turns within every row, so that a slow minute is slow for both. Every answer has to be a 2xx,
// or the redirect of an authorization response; anything else ends the run. A missed target is printed and does not
// change the exit code: on a shared machine a figure is a hint, and the ratio to the limit is what to compare.
package main
