// Package paging bounds what a collection answers at once, and lets the caller
// go on where a page ended.
//
//	?limit=50&cursor=…  ->  Signer.Page  ->  WHERE (sort, id) > (…) LIMIT n+1
//	"next": "/v1/…?cursor=…"  <-  Signer.Next(last row of the page)
//
// A cursor is a place in an order, signed for one collection with its filters.
// It grants nothing: the query behind it runs under the caller's own rights.
package paging
