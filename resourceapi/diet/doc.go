// Package diet is what people must not or will not eat.
//
//	GET, PUT, DELETE   /v1/families/{family_id}/diet                  the caller's own
//	GET, POST          /v1/families/{family_id}/children              for admins
//	GET, PATCH, DELETE /v1/families/{family_id}/children/{child_id}
//	GET                …/lists/{list_id}/warnings                     for whoever can read the list
//
//	PUT      -> sealed (AAD: table, column, family, person) -> grocery.diets
//	a child  -> name and all sealed (AAD: …, child) -> grocery.children   each look of an admin -> audit
//	warnings -> every box of the family opened -> one set of words -> the open items that match
//
// A person's data is shown to nobody else, an admin included; a child's to the
// admins, and to the child. Others see that an item is to be avoided, not on whose
// account. See docs/decisions/0040 and 0090.
package diet
