package oidc

import "time"

// Agreement is what a person who is signed in lets a client do.
type Agreement struct {
	Login     *Login    // of the session that was asked
	Seen      time.Time // before the session was looked at
	ClientID  string
	Scopes    []string
	Resources []string
}
