// Package apikey keeps service accounts and their API keys. A key reaches one
// family, with the scopes it was given, until it expires or is revoked. The keys
// that people make for themselves are package personkey's to make, and lie in
// the same table: they are judged, and an operator sees and ends them, here.
//
//	lrd_live_ + 30 random characters of base62 + 6 of checksum
//
// The prefix lets secret scanners find a leaked key; the checksum (CRC-32)
// lets us refuse a mistyped or invented one without asking the database. The
// key itself is shown once; stored is its SHA-256.
//
//	CLI, admin API ──> Create, Revoke ──> auth.api_keys (+ audit, revocations)
//	introspection  ──> Introspect: Parse ─ok─> one SELECT ──> last use noted, written in batches by Run
package apikey
