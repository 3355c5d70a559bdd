package mfa

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/secret"
	"larder/internal/useragent"
)

// TrustLife is how long a trusted device is not asked for a second factor.
const TrustLife = 30 * 24 * time.Hour

// Trust spares a device the second factor from now on. It ends with the time,
// with the password, with the factor, or by Forget.
func (f *Factors) Trust(ctx context.Context, user id.ID, device, userAgent string) error {
	if device == "" {
		return nil
	}
	now, trust := f.Now(), id.New()
	return postgres.InTx(ctx, f.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, upsertTrusted, trust, user, secret.Sum(device), useragent.Describe(userAgent), now, now.Add(TrustLife)); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, event(now, "trusted_device.added", audit.Person(user), trust))
	})
}

// Forget ends the trust in one device. That it is over already is fine.
func (f *Factors) Forget(ctx context.Context, user, trust id.ID) error {
	now := f.Now()
	return postgres.InTx(ctx, f.DB, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, deleteTrusted, user, trust)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return audit.Auth().Insert(ctx, tx, event(now, "trusted_device.removed", audit.Person(user), trust))
	})
}

func (f *Factors) trusted(ctx context.Context, user id.ID, device string) ([]oidc.TrustedDevice, error) {
	rows, err := f.DB.Query(ctx, selectTrusted, user, secret.Sum(device), f.Now())
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d oidc.TrustedDevice, err error) {
		return d, row.Scan(&d.ID, &d.Name, &d.This, &d.TrustedAt, &d.ExpiresAt)
	})
	return all, postgres.Translate(err)
}
