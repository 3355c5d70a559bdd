// Package tlsfile serves TLS with certificates that lie in files, and reads
// them again when they change: whoever renews a certificate replaces the files,
// and connections that are open stay open.
//
//	handshake -> Certificate.get -> files, looked at once a second at most
//	                                  |- as before: the certificate in hand
//	                                  |- new, and good: the new one from now on
//	                                  '- new, and bad: the one in hand, and a warning
//
// A certificate and its key cannot be replaced in one step. Between the two
// steps they do not fit, which is a bad pair like any other.
//
// Authorities are the same for the certificates of clients (RFC 8705 §2.1), and
// for the lists of those that were revoked.
package tlsfile
