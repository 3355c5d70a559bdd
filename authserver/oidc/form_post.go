package oidc

import "net/url"

// FormPost is an authorization response that the browser posts to the client
// (OAuth 2.0 Form Post Response Mode).
type FormPost struct {
	ClientName string // "" when it has none
	// URI is the redirect URI, which the client has registered.
	URI        string
	Parameters url.Values
	// UILocales are the languages that the request asked for, best first.
	UILocales []string
}
