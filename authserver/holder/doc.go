// Package holder deals with the APIs that hold data of our people: they forget
// whoever leaves, and tell a person what they hold.
//
//	account deleted -> Leaving, in the same transaction
//	                     |- auth.erasures: who, when, which APIs wait   (the journal)
//	                     '- a job for each API -> POST {api}/v1/erasures until it answers 2xx
//	download        -> Holdings.Of -> GET {api}/v1/me/export, with a token of the person's own
//
// The journal is what a restore from backup needs: List writes it down, to be
// kept beside the backups, and Replay deletes everybody in it once more, here
// and at the APIs.
package holder
