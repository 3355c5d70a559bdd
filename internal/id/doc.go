// Package id makes and reads the identifiers of Larder's rows: UUID version 7
// (RFC 9562 §5.7), which sort by time and so keep index inserts at one end.
//
// Callers may make identifiers themselves (offline creation needs it), so
// Parse accepts any RFC 9562 UUID in its canonical 36-character form, and
// nothing else.
package id
