// Package portable takes a family's data out and brings it in again, for those
// who move, keep copies, or come from another app.
//
//	GET  /v1/families/{family_id}/export       all that the caller may see, as JSON
//	GET  /v1/families/{family_id}/export.csv   the items, for a spreadsheet
//	POST /v1/families/{family_id}/import       what either gave, or a plain CSV
//	GET  /v1/me/export                         all that is held of the caller himself
//
// An export is written while it is read, a page of items at a time, each with
// the caller's rights of that moment: it takes no more memory for a large
// family than for a small one, and a slow reader holds no connection of the
// database. A change that is made meanwhile may or may not be in it.
//
//	import: read whole, check each row -> what is there already?
//	          '- one bad row: nothing is        |- all of it: kept as it is
//	             done, all faults are told      '- policy -> insert -> feed, audit: one transaction
//
// An import adds, and never changes or removes: a thing whose id is in the
// family already is left as it is, so that the same file brought in twice does
// what it did once (docs/decisions/0057).
package portable
