package mfa

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/revocation"
)

// lock waits for whoever else changes the person's factors, and reports whether
// there is one that is more than a message.
func lock(ctx context.Context, tx pgx.Tx, user id.ID) (strong bool, err error) {
	err = tx.QueryRow(ctx, lockUser, user).Scan(&strong)
	return strong, err
}

// Regenerate gives the person new recovery codes; the old ones are dead.
// Somebody without a factor has none, which is fault.NotFound.
func (f *Factors) Regenerate(ctx context.Context, user id.ID) (codes []string, err error) {
	now := f.Now()
	err = postgres.InTx(ctx, f.DB, func(tx pgx.Tx) error {
		// Of two at once the second waits here, and then replaces the first one's codes.
		strong, err := lock(ctx, tx, user)
		if err != nil {
			return err
		}
		if !strong {
			return fault.New(fault.NotFound, "There is no second step to have recovery codes for.")
		}
		if codes, err = f.replaceCodes(ctx, tx, user); err != nil {
			return err
		}
		if err := f.tell(ctx, tx, user, now, replacedNotice()); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, event(now, "recovery_codes.replaced", audit.Person(user), user))
	})
	return codes, err
}

func (f *Factors) replaceCodes(ctx context.Context, tx pgx.Tx, user id.ID) (codes []string, err error) {
	keys := f.MACKeys()
	if len(keys) == 0 {
		return nil, fault.New(fault.Unavailable, "The keys are not there yet.")
	}
	b := &pgx.Batch{}
	b.Queue(deleteCodes, user)
	for range recoveryCodes {
		code := newRecoveryCode()
		codes = append(codes, code)
		b.Queue(insertCode, user, recoveryHashes(keys[:1], user, code)[0])
	}
	return codes, tx.SendBatch(ctx, b).Close()
}

// Strengthen is to be called in the transaction that gives a person a factor
// that is not kept here. Whoever has no recovery codes gets some, and no device
// is trusted any more that was trusted without them.
func (f *Factors) Strengthen(ctx context.Context, tx pgx.Tx, user id.ID) (codes []string, err error) {
	if _, err := lock(ctx, tx, user); err != nil {
		return nil, err
	}
	var left int
	if err := tx.QueryRow(ctx, countCodes, user).Scan(&left); err != nil || left > 0 {
		return nil, err
	}
	if _, err := tx.Exec(ctx, deleteAllTrusted, user); err != nil {
		return nil, err
	}
	return f.replaceCodes(ctx, tx, user)
}

// Weaken is to be called in the transaction that took a factor away. Once none
// is left, recovery codes, trusted devices and the grants that say acr mfa end
// too, and last says that the person must be signed out everywhere.
func (f *Factors) Weaken(ctx context.Context, tx pgx.Tx, user id.ID) (last bool, err error) {
	strong, err := lock(ctx, tx, user)
	if err != nil || strong {
		return false, err
	}
	now := f.Now()
	b := &pgx.Batch{}
	b.Queue(deleteCodes, user)
	b.Queue(deleteAllTrusted, user)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return false, err
	}
	rows, err := tx.Query(ctx, revokeGrants, user, now, oidc.ACRMFA)
	if err != nil {
		return false, err
	}
	grants, err := pgx.CollectRows(rows, pgx.RowTo[id.ID])
	if err != nil {
		return false, err
	}
	return true, revocation.InsertGrants(ctx, tx, grants)
}

// RemoveApp takes the authenticator app away. If it was the last factor, the
// person is signed out everywhere, and last says so.
func (f *Factors) RemoveApp(ctx context.Context, by audit.Actor, user id.ID) (last bool, err error) {
	return f.remove(ctx, by, user, deleteTOTP)
}

// Remove takes away every factor, recovery code and trusted device, and with
// them what they vouched for: the person is signed out everywhere, and grants
// that say acr mfa end. That there was no factor is fine.
func (f *Factors) Remove(ctx context.Context, by audit.Actor, user id.ID) error {
	_, err := f.remove(ctx, by, user, deleteTOTP, deleteKeys, deleteWays)
	return err
}

func (f *Factors) remove(ctx context.Context, by audit.Actor, user id.ID, statements ...string) (last bool, err error) {
	now := f.Now()
	err = postgres.InTx(ctx, f.DB, func(tx pgx.Tx) error {
		var removed int64
		for _, statement := range statements {
			tag, err := tx.Exec(ctx, statement, user)
			if err != nil {
				return err
			}
			removed += tag.RowsAffected()
		}
		if removed == 0 {
			return nil
		}
		var err error
		if last, err = f.Weaken(ctx, tx, user); err != nil {
			return err
		}
		what := appRemovedNotice()
		if last {
			what = removedNotice()
		}
		if err := f.tell(ctx, tx, user, now, what); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, event(now, "mfa.removed", by, user))
	})
	if err != nil || !last {
		return false, err
	}
	_, err = f.Sessions.EndUser(ctx, user)
	return true, err
}
