// Package quota bounds how much one caller, one family and one address may ask
// of the API, and tells them what is left
// (draft-ietf-httpapi-ratelimit-headers-11).
//
//	no credential, or one that is not believed   Refused, Documents -> "address"
//	a principal, known by the gate               Wrap               -> "principal"
//	a member, app or key of a family             Enter, by tenant   -> "family"
//	  RateLimit-Policy: "principal";q=1200;w=60, "family";q=6000;w=60
//	  RateLimit: "principal";r=1187;t=1, "family";r=5423;t=6
//	  used up: 429, Retry-After
//
// A family's quota is counted once the database has said that the caller stands
// in it: a stranger neither uses it up nor learns how busy the family is.
// Health checks alone are not counted. What Redis knows and what each replica
// holds is in internal/limit.
package quota
