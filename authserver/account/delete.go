package account

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/link"
	"larder/internal/mail"
	"larder/internal/postgres"
	"larder/internal/revocation"
)

// Grace is how long an account that its owner deleted can still be kept.
const Grace = 7 * 24 * time.Hour

const deleteAtOnce = 50 // accounts in one round of DeleteDue

// RequestDeletion signs a person out everywhere and has the account deleted
// after the grace. The person may sign in meanwhile, to keep it.
func (a *Accounts) RequestDeletion(ctx context.Context, by audit.Actor, user id.ID) error {
	u, err := a.User(ctx, user)
	if err != nil {
		return err
	}
	now := a.Now()
	due := now.Add(Grace)
	return a.SignOut(ctx, user, "user_deleted", func(tx pgx.Tx) error {
		if err := a.tell(ctx, tx, u, "deletion_begun", map[string]string{"when": mail.When(due)}); err != nil {
			return err
		}
		return a.changeRow(ctx, tx, audit.Event{OccurredAt: now, Action: "user.deletion_requested", Result: audit.Success, Actor: by, Target: user.String()},
			updateDeleteAt, user, now, due)
	})
}

// Keep takes a deletion back.
func (a *Accounts) Keep(ctx context.Context, by audit.Actor, user id.ID) error {
	now := a.Now()
	return postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		return a.changeRow(ctx, tx, audit.Event{OccurredAt: now, Action: "user.kept", Result: audit.Success, Actor: by, Target: user.String()},
			updateDeleteAt, user, now, nil)
	})
}

// Deletion returns when the account goes, nil when it stays.
func (a *Accounts) Deletion(ctx context.Context, user id.ID) (*time.Time, error) {
	var at *time.Time
	err := a.DB.QueryRow(ctx, selectDeleteAt, user).Scan(&at)
	return at, postgres.Translate(err)
}

// DeleteDue deletes accounts whose grace is over, up to 50, and returns how
// many. Several replicas may do it at once.
func (a *Accounts) DeleteDue(ctx context.Context) (int, error) {
	for n := range deleteAtOnce {
		var gone id.ID
		err := postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
			u, err := oneUser(ctx, tx, lockUserDue, a.Now())
			if err != nil {
				return err
			}
			gone = u.ID
			return a.delete(ctx, tx, u)
		})
		if fault.Is(err, fault.NotFound) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if _, err := a.Sessions.EndUser(ctx, gone); err != nil {
			return n + 1, err
		}
	}
	return deleteAtOnce, nil
}

// delete removes every row of a person. The audit event that tells of it stays,
// and names only the id: a backup that is restored is cleaned by it.
func (a *Accounts) delete(ctx context.Context, tx pgx.Tx, u *oidc.User) error {
	now := a.Now()
	if a.Leaving != nil {
		if err := a.Leaving(ctx, tx, u.ID); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, deleteUser, u.ID); err != nil {
		return err
	}
	if err := link.DropAll(ctx, tx, u.ID.String()); err != nil {
		return err
	}
	if err := revocation.Insert(ctx, tx, revocation.Subject, u.ID.String()); err != nil {
		return err
	}
	if err := a.tell(ctx, tx, u, "deleted", map[string]string{"when": mail.When(now)}); err != nil {
		return err
	}
	return audit.Auth().Insert(ctx, tx, audit.Event{
		OccurredAt: now, Action: "user.deleted", Result: audit.Success, Actor: audit.Actor{Kind: "system", ID: "deletion"}, Target: u.ID.String(),
	})
}
