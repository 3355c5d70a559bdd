package oidc

import (
	"slices"
	"strings"
)

// FrontChannelTypes are the response types by which tokens pass through the
// browser: implicit and hybrid flow (OpenID Connect Core §3.2, §3.3). The bare
// access token of RFC 6749 §4.2 is none of them (RFC 9700 §2.1.2).
func FrontChannelTypes() []string {
	return []string{"id_token", "id_token token", "code id_token", "code token", "code id_token token"}
}

// ResponseType writes a response type in the order in which we list it: the
// order of its words means nothing (OAuth 2.0 Multiple Response Types §3).
func ResponseType(text string) string {
	words := strings.Fields(text)
	slices.Sort(words)
	return strings.Join(words, " ")
}
