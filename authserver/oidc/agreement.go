package oidc

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Agreement is what a person who is signed in lets a client do.
type Agreement struct {
	Login     *Login    // of the session that was asked
	Seen      time.Time // before the session was looked at
	ClientID  string
	Scopes    []string
	Resources []string
}

// Approve records a person's yes beside the transaction that remembers what was
// agreed to, so that nobody can act on it yet, and returns what makes it count once
// that has committed; nil if the transaction does.
type Approve func(ctx context.Context, tx pgx.Tx) (settle func(context.Context) error, err error)
