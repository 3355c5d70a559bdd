// Package recurring puts things on lists again and again: milk every three
// days, the filter each month.
//
//	GET, POST          /v1/families/{family_id}/recurring
//	GET, PATCH, DELETE …/recurring/{recurring_id}
//
//	Clock, each minute --which families?--> one transaction a family
//	                                          what is due, locked
//	                                          on its list, unless it is there still
//	                                          the next day that it is due
//
// A day begins at four in the morning where the family lives. What was missed,
// because nothing ran or the list was archived, is put there once and not as
// often as it was missed.
package recurring
