// Package detailname finds out what the ids in authorization details stand for,
// so that a person who is asked about them reads names (RFC 9396 §1.1). The
// authserver does not look into the data of an API: it asks the API, over HTTP
// and with a token of that person's that is good for a minute, and so learns
// what they may see and no more.
//
//	consent, device -> Names.Of -> GET /v1/families/{id}        family:read
//	                               GET /v1/families/{id}/lists  lists:read
//
// What is not found within two seconds is shown by its id.
package detailname
