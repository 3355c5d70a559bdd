// Package idempotency lets a client send a POST or PATCH again when it did not
// hear the answer (draft-ietf-httpapi-idempotency-key-header-07).
//
//	Idempotency-Key: 8e03978e-…  ->  read the body, digest the request
//	  tenant.Write: claim the key in the transaction that makes the change
//	    used before         -> the answer of then, Idempotency-Replayed: true
//	    for another request -> 422        in use just now -> 409
//	  the feature renders   -> held back: answer and change are committed together
//
// Keys belong to a principal in a family and are kept for 24 hours, the answers
// sealed. Whoever lost his standing in the family gets no old answer either. A
// request that was refused or failed changed nothing, so that its key is free:
// sent again, it is judged afresh. POST requests that change nothing, those to
// …/sync, whose operations have ids of their own, and erasures, which may be
// said twice, ignore the header.
package idempotency
