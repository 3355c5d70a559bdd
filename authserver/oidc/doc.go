// Package oidc holds the words that the features of the authserver share: a
// registered Client (RFC 7591), a Login (who signed in, when and how), the
// scopes and the claims. It decides nothing, stores nothing and imports no
// feature; it is the one package beside internal/ that every feature may use.
package oidc
