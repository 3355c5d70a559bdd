// Package item is what stands on a list.
//
//	GET, POST          /v1/families/{family_id}/lists/{list_id}/items   ?store= sorts by the aisles there
//	GET, PATCH, DELETE …/items/{item_id}
//	PUT, POST          …/items/{item_id}/check    check off
//	DELETE             …/items/{item_id}/check    put back
//	GET                …/items/{item_id}/history  what it was before each change
//	POST               …/items/{item_id}/undo     take the last change back
//	POST               /v1/families/{family_id}/lists/{list_id}/merge   make one of those that are the same
//
// Checking off is an action of its own and sets a state: doing it twice is
// doing it once, it needs no If-Match, and a guest may be granted it without
// being let change anything else.
//
// Order is a number per item. An item moves by taking the middle between its
// new neighbours; when there is no number left between them, the whole list is
// numbered anew.
package item
