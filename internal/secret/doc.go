// Package secret holds values that must not be printed. A String shows
// "[secret]" to fmt, slog and encoding/json alike; only Reveal, which is easy
// to search for, gives the value out.
//
// Secrets that we generate carry 256 bits from crypto/rand, so that they can be
// stored as a plain SHA-256 (Sum) and compared in constant time (Matches):
// a slow hash would buy nothing against guessing and cost a hundred times the
// request.
package secret
