// Package client speaks to the grocery API for Go programs. It covers what most of them do: families, lists, items,
// the kitchen, webhooks, rules, invitations, diets, the feed and synchronising; the whole API is in its OpenAPI document.
//
//	New(address, token) ──> Lists, Items …  iterators over all pages
//	                   ├──> AddItem, UpdateItem, Check …
//	                   ├──> Stores, Recipes, Pantry, Recurring, Favourites, Webhooks, Children ──> All, Get, Create, Update, Remove
//	                   ├──> Sync   operations made offline, and what others did
//	                   └──> Feed   what happens, over broken connections
//	                          │
//	                          └── do: token, Idempotency-Key, Retry-After ──> *Problem or the answer
//
// A request is sent again when the API is busy or away. Every POST and PATCH has an Idempotency-Key, one for all its
// attempts, so that it is carried out once. Versions are ETags: a change that names the version it is based on fails
// with 412 when somebody was faster.
package client
