// Package diet is what people must not or will not eat.
//
//	GET, PUT, DELETE /v1/families/{family_id}/diet             the caller's own
//	GET              …/lists/{list_id}/warnings                for whoever can read the list
//
//	PUT      -> sealed (AAD: table, column, family, person) -> grocery.diets
//	warnings -> every box of the family opened -> one set of words -> the open items that match
//
// Somebody's data is shown to nobody else, an admin included: others see that an
// item is to be avoided, not on whose account. See docs/decisions/0040.
package diet
