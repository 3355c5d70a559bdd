package consent

import "larder/authserver/oidc"

// meaning is a scope in plain words.
type meaning = oidc.Meaning

func meanings(scopes []string) []meaning { return oidc.Meanings(scopes) }
