// Package list is the grocery lists of a family and what guests may do on them.
//
//	GET, POST          /v1/families/{family_id}/lists
//	GET, PATCH, DELETE …/lists/{list_id}
//	GET                …/lists/{list_id}/permissions
//	PUT, DELETE        …/lists/{list_id}/permissions/{user_id}
//	Apply, Current     POST …/sync: list.add, list.edit, list.remove
//
// A list may have a day, somebody whose turn it is, and be a template: any list
// can be made "from" another and then begins with copies of its items.
//
// A shared list is the whole family's; a personal one its owner's alone, from
// other admins too. The id of a list may be made by the caller: creating it
// again with the same words answers with the list that is there.
package list
