package account

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/mail"
	"larder/internal/postgres"
	"larder/internal/web"
)

// A password is looked up among stolen ones again once a month, and within the
// hour after a service that did not answer.
const (
	checkBreachEvery = 30 * 24 * time.Hour
	checkBreachAgain = time.Hour
)

// checkBreach looks a password that was right up among stolen ones, if that is
// due: a password can be stolen after it was chosen, and the service may have
// been away when it was. Its owner is told by mail, and every sign-in with it is
// a risk from then on. It may fail: whoever gave the right password is let in.
func (a *Accounts) checkBreach(ctx context.Context, user id.ID, pass string) {
	if a.Policy == nil || a.Policy.Breaches == nil {
		return
	}
	now := a.Now()
	// The claim comes first, so that a service that hangs delays one sign-in an hour.
	tag, err := a.DB.Exec(ctx, claimBreachCheck, user, now, now.Add(checkBreachAgain))
	if err != nil || tag.RowsAffected() == 0 {
		return
	}
	breached, err := a.Policy.Breaches.Breached(ctx, pass)
	if err == nil && breached {
		err = a.markBreached(ctx, user, now)
	}
	if err == nil {
		_, err = a.DB.Exec(ctx, updateBreachCheck, user, now.Add(checkBreachEvery))
	}
	if err != nil {
		web.Annotate(ctx, slog.String("breach_check_error", err.Error()))
	}
}

func (a *Accounts) markBreached(ctx context.Context, user id.ID, now time.Time) error {
	return postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, updateBreached, user, now)
		if err != nil || tag.RowsAffected() == 0 {
			return err // known already
		}
		u, err := oneUser(ctx, tx, selectUser, user)
		if err != nil {
			return err
		}
		if a.Jobs != nil && u.Email != "" {
			err := a.Jobs.Insert(ctx, tx, mail.Letter{Template: "password_stolen", To: u.Email, Name: u.Name})
			if err != nil {
				return err
			}
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: now, Action: "password.found_stolen", Result: audit.Success, Actor: audit.Actor{Kind: "system", ID: "authserver"}, Target: user.String(),
		})
	})
}
