// Package app is the third-party apps that a family has let in.
//
//	GET, POST /v1/families/{family_id}/apps
//	DELETE    …/apps/{client_id}
//
// An admin installs a client of the identity provider for the family, with the
// scopes that it gets here. A client_credentials token of that client then
// reaches this family with no more than both the token and the installation
// carry. The row is read at every request, so uninstalling takes effect at the
// next one.
package app
