// Package feed lets clients follow what happens in a family as it happens:
//
//	GET /v1/families/{family_id}/feed      text/event-stream, Last-Event-ID
//
//	a change commits -> tenant.DB.Changed -> Hub: wake the family's streams
//	                                          |
//	                                          '-> NOTIFY, gathered for 100 ms -> the Hubs of other replicas
//	a stream wakes   -> tenant.DB.Read: standing, changes after its cursor, standing -> events
//
// A wake-up carries no news. Each stream reads the feed itself, with its
// caller's rights of that moment, so that nobody is shown anything by a copy of
// who could see what. At most a few streams read at a time.
//
// An event's id is the cursor behind it; sent back as Last-Event-ID, it goes on
// there. A cursor that is too old, or whose holder sees more or less than he
// did, is answered by an event "reset": read everything afresh, then go on
// from its id. The first event, "ready", says where the stream begins.
//
// A stream ends, with an event "end" that says why, when its token expires or
// is revoked (seen within two seconds), when its caller has no place in the
// family any more, and when the service shuts down. A process that dies between
// a commit and its NOTIFY leaves the streams of others asleep; for those each
// stream also looks by itself twice a minute.
//
// A stream that does not take what it is sent within ten seconds is cut. There
// is no queue behind it that could grow: it has its cursor, and reads a page at
// a time.
package feed
