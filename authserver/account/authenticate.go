package account

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/web"
)

// credentials is what one query says of an address. Its zero value is nobody.
type credentials struct {
	user        id.ID
	disabled    bool
	hash        string
	passwordSet time.Time
}

// authenticate looks at an address and a password. Whatever is wrong with them, it
// takes the same work, and reason, for the audit log only, tells what; c is then of
// whose account was tried. before is asked when the hash is about to run. It does
// not limit attempts: that is the Throttle's.
func (a *Accounts) authenticate(ctx context.Context, email, pass string, before func(context.Context) error) (c credentials, reason string, err error) {
	if c, err = a.credentials(ctx, email); err != nil {
		return c, "", err
	}
	stored := c.hash
	if stored == "" {
		stored = a.Hasher.Dummy()
	}
	ok, stale, err := a.Hasher.Verify(ctx, pass, stored, before)
	switch {
	case err != nil:
		return c, "", err
	case c.user.IsZero():
		return c, "unknown_account", nil
	case !ok:
		return c, "wrong_password", nil
	case c.disabled:
		return c, "disabled", nil
	}
	if stale {
		a.rehash(ctx, c, pass)
	}
	a.checkBreach(ctx, c.user, pass)
	return c, "", nil
}

// Stands reports whether what somebody shows to sign in is still theirs, and the
// account open; see session.Sessions.
func (a *Accounts) Stands(ctx context.Context, login oidc.Login) (stands bool, err error) {
	var set *time.Time
	if !login.PasswordSet.IsZero() {
		set = &login.PasswordSet
	}
	err = a.DB.QueryRow(ctx, selectStands, login.Subject, set, login.Passkey, login.Identity).Scan(&stands)
	return stands, postgres.Translate(err)
}

func (a *Accounts) credentials(ctx context.Context, email string) (credentials, error) {
	canonical, err := Canonical(email)
	if err != nil {
		// No account has such an address; ask all the same, at the same cost.
		canonical = ""
	}
	var c credentials
	var set *time.Time
	err = a.DB.QueryRow(ctx, selectCredentials, canonical).Scan(&c.user, &c.disabled, &c.hash, &set)
	if errors.Is(err, pgx.ErrNoRows) {
		return credentials{}, nil
	}
	if set != nil {
		c.passwordSet = *set
	}
	return c, postgres.Translate(err)
}

// rehash brings a hash up to the present parameters. It may fail: the next
// sign-in tries again.
func (a *Accounts) rehash(ctx context.Context, c credentials, pass string) {
	fresh, err := a.Hasher.Hash(ctx, pass)
	if err == nil {
		_, err = a.DB.Exec(ctx, updateHash, c.user, c.hash, fresh)
	}
	if err != nil {
		web.Annotate(ctx, slog.String("rehash_error", err.Error()))
	}
}
