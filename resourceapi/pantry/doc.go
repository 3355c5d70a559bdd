// Package pantry is what a family has in the house.
//
//	GET, POST          /v1/families/{family_id}/pantry
//	GET, PATCH, DELETE …/pantry/{stock_id}
//
// A stock with a minimum feeds a list: whenever more is missing than before,
// the difference is put there, by the rules of package item. That needs no
// memory of what was put there already, and bought things come back by raising
// the quantity.
package pantry
