package mfa

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/sealed"
	"larder/internal/secret"
)

// SessionEnder signs a person out everywhere.
type SessionEnder interface {
	EndUser(ctx context.Context, subject id.ID) (int, error)
}

// Factors keeps second factors in schema auth, and those that are being set up
// in Redis.
type Factors struct {
	DB    *pgxpool.Pool
	Redis *redis.Client
	// Keyring seals the secrets; MACKeys hash the recovery codes, the first of
	// them new ones. They are asked at each use.
	Keyring  func() *sealed.Keyring
	MACKeys  func() [][]byte
	Sessions SessionEnder
	Jobs     Jobs // nil writes to nobody
	Now      func() time.Time
	Service  string // what authenticator apps list a key under; "" is Larder
}

// The reasons why a code is refused, for the audit log only.
const (
	wrongCode = "wrong_code"
	usedCode  = "code_used"
	noFactor  = "no_factor"
)

// Required reports whether the person has a second factor and this device, by
// its cookie, is not trusted.
func (f *Factors) Required(ctx context.Context, user id.ID, device string) (required bool, err error) {
	err = f.DB.QueryRow(ctx, selectRequired, user, secret.Sum(device), f.Now()).Scan(&required)
	return required, postgres.Translate(err)
}

// Enrolled reports whether the person has a second factor that is more than a
// message.
func (f *Factors) Enrolled(ctx context.Context, user id.ID) (enrolled bool, err error) {
	err = f.DB.QueryRow(ctx, selectEnrolled, user).Scan(&enrolled)
	return enrolled, postgres.Translate(err)
}

// View describes what the person has, save passkeys; device is the browser that
// asks.
func (f *Factors) View(ctx context.Context, user id.ID, device string) (oidc.Factors, error) {
	var v oidc.Factors
	err := f.DB.QueryRow(ctx, selectSince, user).Scan(&v.TOTPSince)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return v, postgres.Translate(err)
	}
	if err := f.DB.QueryRow(ctx, countCodes, user).Scan(&v.RecoveryCodes); err != nil {
		return v, postgres.Translate(err)
	}
	v.Trusted, err = f.trusted(ctx, user, device)
	return v, err
}

// Check spends a code, of the app or a recovery code, and returns the methods
// that it proves beside the password (RFC 8176). A code that is wrong or spent
// is fault.Unauthenticated.
func (f *Factors) Check(ctx context.Context, user id.ID, code string) (amr []string, err error) {
	amr, reason, err := f.check(ctx, user, code)
	if err != nil {
		return nil, err
	}
	if reason != "" {
		return nil, fault.New(fault.Unauthenticated, "This code is not right, or was used already.")
	}
	return amr, nil
}

// check tells, for the audit log, why it refused.
func (f *Factors) check(ctx context.Context, user id.ID, code string) (amr []string, reason string, err error) {
	code = strings.Join(strings.Fields(code), "")
	if looksLikeTOTP(code) {
		reason, err = f.checkTOTP(ctx, user, code)
		return []string{oidc.AMROTP, oidc.AMRMFA}, reason, err
	}
	// RFC 8176 has no word for a recovery code; that there were two factors is
	// still true.
	reason, err = f.checkRecovery(ctx, user, code)
	return []string{oidc.AMRMFA}, reason, err
}

func (f *Factors) checkTOTP(ctx context.Context, user id.ID, code string) (reason string, err error) {
	var factor id.ID
	var box []byte
	var last int64
	err = f.DB.QueryRow(ctx, selectTOTP, user).Scan(&factor, &box, &last)
	if errors.Is(err, pgx.ErrNoRows) {
		return noFactor, nil
	}
	if err != nil {
		return "", postgres.Translate(err)
	}
	shared, err := f.Keyring().Open(secretPlace(factor), box)
	if err != nil {
		return "", err
	}
	now := f.Now()
	step, ok, err := matchStep(string(shared), code, now)
	if err != nil || !ok {
		return wrongCode, err
	}
	tag, err := f.DB.Exec(ctx, spendStep, user, factor, step, now)
	if err != nil {
		return "", postgres.Translate(err)
	}
	if tag.RowsAffected() == 0 {
		return usedCode, nil
	}
	return "", nil
}

func (f *Factors) checkRecovery(ctx context.Context, user id.ID, code string) (reason string, err error) {
	now := f.Now()
	spent := false
	err = postgres.InTx(ctx, f.DB, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, spendCode, user, recoveryHashes(f.MACKeys(), user, code), now)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		spent = true
		if err := f.tell(ctx, tx, user, now, recoveryNotice()); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, event(now, "recovery_code.used", audit.Person(user), user))
	})
	if err != nil || spent {
		return "", err
	}
	return wrongCode, nil
}

func secretPlace(factor id.ID) string { return "auth.mfa_totp/secret/" + factor.String() }

func event(now time.Time, action string, by audit.Actor, target id.ID) audit.Event {
	return audit.Event{OccurredAt: now, Action: action, Result: audit.Success, Actor: by, Target: target.String()}
}
