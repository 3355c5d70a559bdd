// Package kitchen keeps what a family shops by, beside its lists: stores,
// recipes, what is in the pantry, what comes back. These are small collections
// of things that everybody in the family may read and keep, and each feature
// would say the same of its own. It says what differs:
//
//	type Store struct { kitchen.Entry; … }   a row: Scan, Values
//	type change struct { … valid.Field … }   what a body may say: Apply
//	kitchen.Shelf{Noun, Path, Events, SQL, …}
//	  Mount          GET, POST …/stores      GET, PATCH, DELETE …/stores/{store_id}
//	  Apply, Current POST …/sync             store.add, store.edit, store.remove
//
// A body that makes a thing and one that changes it are read alike: both are a
// change, of nothing or of what is there. An edit made offline is one too, for
// each member that still is what the client knew.
package kitchen
