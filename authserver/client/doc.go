// Package client keeps the registered clients (RFC 7591): what they may ask
// for, how they prove who they are, and whether they still may.
//
//	CLI, admin API ──> Create, Update, RotateSecret, Disable ──> auth.clients (+ audit, revocations)
//	                        │ Rules.Check: every fault of the metadata at once
//	oauth ──> Client(id) ──> cache of this process <── Run: every 500 ms, what changed since
//
// Client is on the path of every token request and does not touch the
// database once it knows a client. Each replica asks the database twice a
// second which clients have changed, so that all follow a change within a
// second; a poll needs no connection of its own and survives poolers, as
// LISTEN does not. While the database is away the cache keeps serving.
package client
