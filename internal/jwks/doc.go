// Package jwks keeps copies of key sets (RFC 7517 §5) that others publish at an
// address of theirs, such as the jwks_uri of a client.
//
//	Keys ---> copy younger than 10 minutes? ---> keys
//	            no: fetch (one at a time per address) ---> copy
//	Renewed -> somebody met a key that the copy lacks: fetch again, but at most
//	           once in 10 seconds per address, whoever asks how often
//
// An address that does not answer is not asked again for ten seconds, and the
// copy serves meanwhile for an hour more. Copies are bounded in number, size and
// keys. Only public keys are kept, no symmetric ones; their use is for the reader to
// mind.
package jwks
