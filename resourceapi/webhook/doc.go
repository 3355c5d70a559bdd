// Package webhook tells other services what happens in a family, after Standard
// Webhooks (https://www.standardwebhooks.com).
//
//	GET, POST          /v1/families/{family_id}/webhooks
//	GET, PATCH, DELETE …/webhooks/{webhook_id}
//	POST               …/webhooks/{webhook_id}/secret                     a new one; the old signs along for a day
//	GET                …/webhooks/{webhook_id}/deliveries                 the log
//	POST               …/webhooks/{webhook_id}/deliveries/{delivery_id}/replay
//
//	change_feed --Courier, past the webhook's cursor--> webhook_deliveries --POST, signed--> 2xx: delivered
//	                                                          ^                              410: the webhook is disabled
//	                                                          '-- again after 5 s, 5 min … 24 h -- else
//
// The feed is the outbox: a change is in it if it is committed, and the cursor
// moves in the transaction that writes the deliveries down. A process that dies
// while it sends leaves them pending, and another goes on after two minutes; a
// receiver may therefore hear a message twice, under the same webhook-id.
//
// A receiver that hangs holds two sends of its own and nobody else's; what waits
// behind a message that did not reach it is left until the next attempt.
//
// Personal lists are nobody else's business and are never told of. A message
// says what changed and not what it is now: the receiver asks, with the rights
// that it has.
package webhook
