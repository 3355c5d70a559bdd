// Package sync lets a client that was offline catch up, in one round trip:
//
//	POST /v1/families/{family_id}/sync    {cursor, operations} -> {results, changes, cursor}
//
//	operations, in their order, each in a transaction of its own
//	  -> the feature that the noun of its kind names: item.edit -> item, list.add -> list, store.add -> store
//	       done before? the outcome of then            policy, as for a request of its own
//	       each member: is it what the client knew?    yes: change it   no: leave it, report it
//	  -> applied | merged | conflict, with what is there now | rejected, with the reason
//	changes since the cursor -> lists, items and the kitchen's things as they are now, ids of those that are gone
//
// Nothing that a client did is dropped in silence. An operation carries an id of
// the client's making and may be sent again for seven days: it is carried out
// once, because its outcome is recorded in the very transaction that changes the
// thing. A rejected operation leaves no record and is judged anew.
//
// Who removes a list says what he knew on it: with anything else on it, that is
// a conflict, and the list stays.
//
// The answer holds states, not steps: a client takes over what it gets and has
// converged. Without a cursor, or with one that leads nowhere any more, "reset"
// says to read everything by its own address, then to go on from the new one.
package sync
