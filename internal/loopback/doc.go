// Package loopback keeps addresses for servers that tests start later, in processes of their own, on ports that have to
// be known before.
//
//	Reserve ── the port is kept ──> a server listens on it ──> release
package loopback
