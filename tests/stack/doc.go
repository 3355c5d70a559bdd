// Package stack runs both services as processes for end-to-end tests and the benchmark: nothing of their code is
// linked in, so a test can only do what a browser, a relying party or an operator can.
//
//	Browser, Client, API ──> Front (issuer) ──> authserver 1..n ──┐
//	                    └──> Front (api) ─────> resourceapi 1..n ─┤
//	                                                              ├──> Line ──> PostgreSQL
//	                                                              └──> Line ──> Redis
//
// A Front shares requests out among replicas and keeps the issuer's address while they come and go. A Line can be cut
// or frozen, which is how a test takes the database away from the services without taking it away from other tests.
package stack
