// Package store is where a family shops: the order in which one meets the
// aisles there, and what things cost.
//
//	GET, POST          /v1/families/{family_id}/stores
//	GET, PATCH, DELETE …/stores/{store_id}
//	GET, POST          …/stores/{store_id}/prices   the latest of each thing, or all of one
//
// An aisle is a category of items, so that one list serves many stores: package
// item sorts and filters a list by the aisles of the store that is asked for.
package store
