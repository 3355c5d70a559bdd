// Package rp signs in with relying parties that others wrote: coreos/go-oidc with x/oauth2 in Go, openid-client and
// oauth4webapi in Node, oidc-client-ts and Auth.js in Chromium. They find everything by discovery and check what their
// authors found worth checking.
//
//	test ── demo document, answers ──> node script ──> Chromium ──> the services
//	     <── {"open"}, {"please"}, {"done"} ──┘
//
// It also runs the code that docs/integrate-*.md offer to copy.
package rp
