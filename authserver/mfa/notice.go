package mfa

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"larder/internal/id"
	"larder/internal/mail"
)

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// notice is what a person is written about their factors.
type notice struct{ subject, what string }

func enrolledNotice() notice {
	return notice{"An authenticator app was set up", "An authenticator app was set up for your Larder account; signing in asks for its code from now on."}
}

func removedNotice() notice {
	return notice{"The second step was turned off", "The second step of signing in to your Larder account was turned off; the password alone is enough again."}
}

func appRemovedNotice() notice {
	return notice{"The authenticator app was removed", "The authenticator app was removed from your Larder account; its codes do not work any more. Your passkeys do."}
}

func recoveryNotice() notice {
	return notice{"A recovery code was used", "Somebody signed in to your Larder account with your password and one of your recovery codes."}
}

func replacedNotice() notice {
	return notice{"You have new recovery codes", "New recovery codes were made for your Larder account; the old ones do not work any more."}
}

// Tell writes to a person in the transaction of what they should know.
func (f *Factors) Tell(ctx context.Context, tx pgx.Tx, user id.ID, subject, what string) error {
	return f.tell(ctx, tx, user, f.Now(), notice{subject, what})
}

// tell writes to a person in the transaction of what they should know. Without
// jobs or an address nobody is told.
func (f *Factors) tell(ctx context.Context, tx pgx.Tx, user id.ID, now time.Time, n notice) error {
	if f.Jobs == nil {
		return nil
	}
	var to, name string
	if err := tx.QueryRow(ctx, selectAddress, user).Scan(&to, &name); err != nil {
		return err
	}
	if to == "" {
		return nil
	}
	return f.Jobs.Insert(ctx, tx, mail.Letter{
		Template: "factors_changed", To: to, Name: name,
		Facts: map[string]string{"subject": n.subject, "what": n.what, "when": mail.When(now)},
	})
}
