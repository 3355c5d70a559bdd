// Package rp signs in with relying parties that others wrote: coreos/go-oidc with x/oauth2 in Go, openid-client and
// oauth4webapi in Node. They find everything by discovery and check what their authors found worth checking.
package rp
