// Package audit writes who did, saw and was denied what, into the
// audit_events table of a service's schema, to which its role may only append.
//
//	a change        Insert, in the transaction that makes it: both or neither
//	a denial, a     Queue: bounded, written in batches behind the request; when
//	failed sign-in  it is full, equal events are counted into one
//	a read          Hourly, before a Queue of its own: what is read again and again
//	                is told at once, and then how often, when its hour is over
package audit
