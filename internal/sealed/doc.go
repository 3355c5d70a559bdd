// Package sealed encrypts what must not lie readable in Postgres or Redis:
// AES-256-GCM with a random nonce, bound by its additional data to the place
// where the value lies, so that a sealed value moved to another row or column
// does not open.
//
//	key-encryption keys (configuration) --seal--> data and signing keys (Postgres)
//	data keys ------------------------- --seal--> sessions (Redis)
//
// A Keyring holds the current key first and older ones behind it: Seal uses
// the first, Open finds the right one by the key id in the header.
package sealed
