// Package dpoptest plays the client of RFC 9449 in tests: it has keys and makes
// proofs with them, good ones and bad.
package dpoptest
