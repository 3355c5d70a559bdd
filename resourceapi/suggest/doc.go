// Package suggest offers what a family is likely to want on a list next.
//
//	GET                /v1/families/{family_id}/suggestions   ?q= ?list_id= ?limit=
//	GET, POST          /v1/families/{family_id}/favourites    a shelf of package kitchen
//	GET, PATCH, DELETE …/favourites/{favourite_id}
//
// Favourites come first, then what was put on lists most often of late. It is
// learnt from this family alone, and from a personal list for its owner alone:
// the database counts as items are added (migration 0023) and keeps the rows of
// others away.
package suggest
