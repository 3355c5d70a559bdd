package personkey

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/mail"
	"larder/internal/postgres"
	"larder/internal/revocation"
	"larder/internal/secret"
)

const (
	maxKeys = 20 // of one person, in force
	hintLen = 4
	// warnAhead is how long before its end a key's owner is told of it.
	warnAhead = 7 * 24 * time.Hour
	warnEvery = 10 * time.Minute
)

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// Keys keeps the keys that people made. Fill in the fields.
type Keys struct {
	DB       *pgxpool.Pool
	Jobs     Jobs
	Generate func() secret.String // a new key
	Now      func() time.Time
	Log      *slog.Logger
}

// draft is a key that is to be made, checked.
type draft struct {
	name      string
	family    Family
	scopes    []string
	expiresAt time.Time
}

// create makes a key of a person's. It is returned this once. A person who has
// too many already, or whose account is about to go, gets fault.Conflict.
func (s *Keys) create(ctx context.Context, user id.ID, d draft) (k Key, value secret.String, err error) {
	value = s.Generate()
	plain := value.Reveal()
	err = postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		letter := mail.Letter{Template: "key_made"}
		err := tx.QueryRow(ctx, lockOwner, user).Scan(&letter.To, &letter.Name)
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.New(fault.Conflict, "Your account is about to be deleted. Keep it first.")
		}
		if err != nil {
			return err
		}
		var inForce int
		if err := tx.QueryRow(ctx, countKeys, user, s.Now()).Scan(&inForce); err != nil {
			return err
		}
		if inForce >= maxKeys {
			return fault.New(fault.Conflict, "You have twenty keys already. Revoke one that you do not need first.").WithCode("too_many")
		}
		rows, err := tx.Query(ctx, insertKey, id.New(), user, d.family.ID, d.family.Name, d.name, secret.Sum(plain), plain[len(plain)-hintLen:], d.scopes, d.expiresAt)
		if err != nil {
			return err
		}
		if k, err = pgx.CollectExactlyOneRow(rows, scanKey); err != nil {
			return err
		}
		letter.Facts = map[string]string{"key": k.Name, "family": k.FamilyName, "when": mail.When(s.Now())}
		if err := s.write(ctx, tx, letter); err != nil {
			return err
		}
		return s.audit(ctx, tx, "api_key.created", user, k.ID, map[string]any{"family_id": k.FamilyID.String(), "scopes": k.Scopes})
	})
	return k, value, err
}

// List returns a person's keys that were not revoked, the newest first.
func (s *Keys) List(ctx context.Context, user id.ID) ([]Key, error) {
	rows, err := s.DB.Query(ctx, selectKeys, user)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, scanKey)
	return all, postgres.Translate(err)
}

// revoke ends a key of a person's: of several at once one gets true.
func (s *Keys) revoke(ctx context.Context, user, key id.ID) (ended bool, err error) {
	err = postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, revokeKey, user, key, s.Now())
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		ended = true
		if err := revocation.Insert(ctx, tx, revocation.APIKey, key.String()); err != nil {
			return err
		}
		return s.audit(ctx, tx, "api_key.revoked", user, key, nil)
	})
	return ended && err == nil, err
}

// Run writes to the owners of keys that are about to expire, until ctx is done.
func (s *Keys) Run(ctx context.Context) {
	tick := time.NewTicker(warnEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.Warn(ctx); err != nil && ctx.Err() == nil {
				s.Log.LogAttrs(ctx, slog.LevelWarn, "owners of API keys not told of their end", slog.String("error", err.Error()))
			}
		case <-ctx.Done():
			return
		}
	}
}

// Warn writes once to each owner of a key that is about to expire, some at a
// time. Several replicas may do it at once.
func (s *Keys) Warn(ctx context.Context) error {
	now := s.Now()
	return postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, claimExpiring, now, now.Add(warnAhead))
		if err != nil {
			return err
		}
		letters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (mail.Letter, error) {
			letter := mail.Letter{Template: "key_expires"}
			var key, family string
			var end time.Time
			err := row.Scan(&letter.To, &letter.Name, &key, &family, &end)
			letter.Facts = map[string]string{"key": key, "family": family, "when": mail.When(end)}
			return letter, err
		})
		if err != nil {
			return err
		}
		for _, letter := range letters {
			if err := s.write(ctx, tx, letter); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Keys) write(ctx context.Context, tx pgx.Tx, letter mail.Letter) error {
	if letter.To == "" {
		return nil
	}
	return s.Jobs.Insert(ctx, tx, letter)
}

func (s *Keys) audit(ctx context.Context, tx pgx.Tx, action string, user, key id.ID, details map[string]any) error {
	return audit.Auth().Insert(ctx, tx, audit.Event{
		OccurredAt: s.Now(), Action: action, Result: audit.Success, Actor: audit.Person(user), Target: key.String(), Details: details,
	})
}
