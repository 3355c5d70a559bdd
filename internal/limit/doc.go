// Package limit counts how often something was tried, in Redis and so for all
// replicas together, by the generic cell rate algorithm (GCRA).
//
// A bucket has several rates at once. Those of a sign-in form make the wait
// grow with persistence: a few tries at once, then one every few seconds, then
// one every few minutes.
//
//	Peek    would one more be let in?       (counts nothing)
//	Take    count one, or say how long to wait
//	Refund  the one was honest: give it back
//	Reset   forget the bucket
//
// One script decides all rates of a bucket atomically, by the clock of Redis: a
// try that any rate refuses is counted by none. That is more than redis_rate
// offers, which knows one rate per key and neither peeks nor refunds.
//
//	Redis is there      its script decides
//	Redis is away       a function of PostgreSQL decides alike (Limiter.DB)
//	Redis was emptied   guesses were counted in both (Limiter.Lasting), and
//	                    PostgreSQL still refuses
//
// Where neither can be asked the answer is fault.Unavailable, never "go ahead".
package limit
