// Package tenant is the one way from a request to the rows of a family. It
// puts the caller's context before the first query, asks the policy before
// anything is answered or changed, and records what was done or refused.
//
//	Read   one round trip                     Write   two
//	  principal                                 BEGIN; principal
//	  standing: role, installation or key       standing
//	  what f queued                             what f queued, to lock and to look
//	May -> policy                             May -> policy
//	f answers from what it read               what f queued, to change
//	                                          feed, audit; COMMIT
//
// Presume is a third shape, for the change that is made most of all: the policy
// decides upon what this process last saw, and a single round trip makes the
// change only where that still holds (docs/decisions/0050).
//
// The context is derived, not asserted: the family is entered by selecting the
// caller's own membership (or installation) row, which is all that row-level
// security shows him until then. Without such a row app.family stays empty and
// every policy of every table matches nothing, whatever the code above does.
//
// Three ways in need no standing yet: Found makes a family, Join holds an
// invitation, Mine looks at the caller's own memberships.
//
// A transaction that never asked May, or was refused, does not commit.
package tenant
