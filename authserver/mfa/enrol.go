package mfa

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp"

	"larder/internal/audit"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/language"
	"larder/internal/postgres"
	"larder/internal/secret"
)

// proposalLife is how long a person may take to get an app to show a code.
const proposalLife = 15 * time.Minute

// proposals lie in Redis, sealed, for one session of one person.
func proposalKey(user id.ID, sid string) string {
	return "mfa-proposal:" + user.String() + ":" + hex.EncodeToString(secret.Sum(sid))
}

// Propose returns the key that the person is to scan. Asked again it returns
// the same one while it waits for its first code, so that a reloaded page and
// the app do not part ways.
func (f *Factors) Propose(ctx context.Context, user id.ID, sid, email string) (*otp.Key, error) {
	fresh, err := newKey(cmp.Or(f.Service, language.Brand), email)
	if err != nil {
		return nil, err
	}
	name := proposalKey(user, sid)
	box := f.Keyring().Seal(name, []byte(fresh.URL()))
	if err := f.Redis.SetNX(ctx, name, box, proposalLife).Err(); err != nil {
		return nil, cache.Translate(err)
	}
	return f.proposal(ctx, name)
}

func (f *Factors) proposal(ctx context.Context, name string) (*otp.Key, error) {
	box, err := f.Redis.Get(ctx, name).Bytes()
	if errors.Is(err, cache.ErrNone) {
		return nil, fault.New(fault.NotFound, "Setting up took too long. Please begin again.")
	}
	if err != nil {
		return nil, cache.Translate(err)
	}
	plain, err := f.Keyring().Open(name, box)
	if err != nil {
		return nil, err
	}
	return otp.NewKeyFromURL(string(plain))
}

// Confirm makes the proposed key the person's factor, in place of the one before
// if there is one, once the app shows its code. It returns the recovery codes,
// which nobody can read again. A wrong code is fault.Unauthenticated, a proposal
// that is over fault.NotFound.
func (f *Factors) Confirm(ctx context.Context, user id.ID, sid, code string) (codes []string, err error) {
	name := proposalKey(user, sid)
	key, err := f.proposal(ctx, name)
	if err != nil {
		return nil, err
	}
	now := f.Now()
	step, ok, err := matchStep(key.Secret(), strings.Join(strings.Fields(code), ""), now)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "This is not the code that the app shows now. Wait for the next one and try again.")
	}
	n, err := f.Redis.Del(ctx, name).Result()
	if err != nil {
		return nil, cache.Translate(err)
	}
	if n == 0 { // another window was first
		return nil, fault.New(fault.NotFound, "Setting up took too long. Please begin again.")
	}
	factor := id.New()
	err = postgres.InTx(ctx, f.DB, func(tx pgx.Tx) error {
		if _, err := lock(ctx, tx, user); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, upsertTOTP, user, factor, f.Keyring().Seal(secretPlace(factor), []byte(key.Secret())), step, now); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, deleteAllTrusted, user); err != nil {
			return err
		}
		if codes, err = f.replaceCodes(ctx, tx, user); err != nil {
			return err
		}
		if err := f.tell(ctx, tx, user, now, enrolledNotice()); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, event(now, "mfa.enrolled", audit.Person(user), factor))
	})
	return codes, err
}
