package account

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/web"
)

// credentials is what one query says of an address. Its zero value is nobody.
type credentials struct {
	user     id.ID
	disabled bool
	hash     string
}

// Authenticate returns the user who has this address and password. Whatever is
// wrong with them, the answer is the same fault.Unauthenticated after the same
// work. It does not limit attempts: that is the Throttle's.
func (a *Accounts) Authenticate(ctx context.Context, email, pass string) (id.ID, error) {
	user, reason, err := a.authenticate(ctx, email, pass, nil)
	if err != nil {
		return id.ID{}, err
	}
	if reason != "" {
		return id.ID{}, fault.New(fault.Unauthenticated, "The e-mail address or the password is not right.")
	}
	return user, nil
}

// authenticate tells, for the audit log only, why it failed; user is then whose
// account was tried. before is asked when the hash is about to run.
func (a *Accounts) authenticate(ctx context.Context, email, pass string, before func(context.Context) error) (user id.ID, reason string, err error) {
	c, err := a.credentials(ctx, email)
	if err != nil {
		return id.ID{}, "", err
	}
	stored := c.hash
	if stored == "" {
		stored = a.Hasher.Dummy()
	}
	ok, stale, err := a.Hasher.Verify(ctx, pass, stored, before)
	switch {
	case err != nil:
		return c.user, "", err
	case c.user.IsZero():
		return id.ID{}, "unknown_account", nil
	case !ok:
		return c.user, "wrong_password", nil
	case c.disabled:
		return c.user, "disabled", nil
	}
	if stale {
		a.rehash(ctx, c, pass)
	}
	a.checkBreach(ctx, c.user, pass)
	return c.user, "", nil
}

func (a *Accounts) credentials(ctx context.Context, email string) (credentials, error) {
	canonical, err := Canonical(email)
	if err != nil {
		// No account has such an address; ask all the same, at the same cost.
		canonical = ""
	}
	var c credentials
	err = a.DB.QueryRow(ctx, selectCredentials, canonical).Scan(&c.user, &c.disabled, &c.hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return credentials{}, nil
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
