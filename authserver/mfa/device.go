package mfa

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/secret"
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
		if _, err := tx.Exec(ctx, upsertTrusted, trust, user, secret.Sum(device), deviceName(userAgent), now, now.Add(TrustLife)); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, event(now, "trusted_device.added", person(user), trust))
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
		return audit.Auth().Insert(ctx, tx, event(now, "trusted_device.removed", person(user), trust))
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

// deviceName says what browser it was, as well as a User-Agent can be believed.
// The order matters: most browsers claim to be several others too.
func deviceName(userAgent string) string {
	find := func(otherwise string, words ...string) string {
		for i := 0; i < len(words); i += 2 {
			if strings.Contains(userAgent, words[i]) {
				return words[i+1]
			}
		}
		return otherwise
	}
	browser := find("A browser", "Edg", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "FxiOS/", "Firefox",
		"CriOS/", "Chrome", "Chrome/", "Chrome", "Safari/", "Safari")
	system := find("", "Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS X", "Mac", "CrOS", "ChromeOS", "Linux", "Linux")
	if system == "" {
		return browser
	}
	return browser + " on " + system
}
