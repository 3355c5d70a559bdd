package apikey

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/revocation"
	"larder/internal/secret"
)

const (
	maxName = 200 // characters
	maxPage = 200
	hintLen = 4
)

// Keys are the service accounts and their keys. Fill in the exported fields.
type Keys struct {
	DB     DB
	Scopes []string // what a key may be given: the scopes of our APIs
	Now    func() time.Time
	Log    *slog.Logger

	used lastUse
}

// Introspect returns what a key stands for. One that is malformed (which never
// reaches the database), unknown, expired or revoked is fault.Unauthenticated,
// and so is a person's own when the account is closed. from is the network where
// the key is used; "" if that is not known.
func (s *Keys) Introspect(ctx context.Context, key, from string) (*oidc.APIKey, error) {
	if !Parse(key) {
		return nil, notValid()
	}
	var k oidc.APIKey
	var expiresAt *time.Time
	err := s.DB.QueryRow(ctx, selectByHash, secret.Sum(key)).
		Scan(&k.ID, &k.ServiceAccountID, &k.UserID, &k.Name, &k.FamilyID, &k.Scopes, &k.CreatedAt, &expiresAt)
	if err = postgres.Translate(err); fault.Is(err, fault.NotFound) {
		return nil, notValid()
	}
	if err != nil {
		return nil, err
	}
	now := s.Now()
	if expiresAt != nil {
		if !expiresAt.After(now) {
			return nil, notValid()
		}
		k.ExpiresAt = *expiresAt
	}
	s.used.note(k.ID, use{now, from})
	return &k, nil
}

func notValid() error { return fault.New(fault.Unauthenticated, "The API key is not valid.") }

// CreateAccount makes a service account of a family.
func (s *Keys) CreateAccount(ctx context.Context, family id.ID, name string, by audit.Actor) (ServiceAccount, error) {
	var a ServiceAccount
	var faults []fault.Field
	if family.IsZero() {
		faults = append(faults, fault.Field{Pointer: "/family_id", Detail: "must be given"})
	}
	if n := utf8.RuneCountInString(name); strings.TrimSpace(name) == "" || n > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		faults = append(faults, fault.Field{Pointer: "/name", Detail: fmt.Sprintf("must be 1 to %d characters", maxName)})
	}
	if len(faults) > 0 {
		return a, fault.New(fault.Invalid, "The service account is not acceptable.").WithFields(faults...)
	}
	err := postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, insertAccount, id.New(), family, name, by.Kind+":"+by.ID)
		if err != nil {
			return err
		}
		if a, err = pgx.CollectExactlyOneRow(rows, scanAccount); err != nil {
			return err
		}
		return s.audit(ctx, tx, "service_account.created", a.ID, by)
	})
	return a, err
}

// Accounts returns up to limit service accounts (200 at most) with ids after
// the given one; a family that is not zero narrows them.
func (s *Keys) Accounts(ctx context.Context, family, after id.ID, limit int) ([]ServiceAccount, error) {
	rows, err := s.DB.Query(ctx, selectAccounts, family, after, min(max(limit, 1), maxPage))
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, scanAccount)
	return all, postgres.Translate(err)
}

// DisableAccount ends a service account and all its keys.
func (s *Keys) DisableAccount(ctx context.Context, account id.ID, by audit.Actor) (ServiceAccount, error) {
	var a ServiceAccount
	err := postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, disableAccount, account)
		if err != nil {
			return err
		}
		if a, err = pgx.CollectExactlyOneRow(rows, scanAccount); err != nil {
			return err
		}
		if err := s.revokeAll(ctx, tx, revokeAccountKeys, account); err != nil {
			return err
		}
		return s.audit(ctx, tx, "service_account.disabled", account, by)
	})
	return a, err
}

// Create makes a key for a service account. The key is returned this once.
// expiresAt zero means that it does not expire. An account that is unknown or
// disabled is fault.NotFound.
func (s *Keys) Create(ctx context.Context, account id.ID, scopes []string, expiresAt time.Time, by audit.Actor) (Key, secret.String, error) {
	if err := s.Check(scopes, expiresAt); err != nil {
		return Key{}, "", err
	}
	value, keyID := Generate(), id.New()
	var expiry *time.Time
	if !expiresAt.IsZero() {
		expiry = &expiresAt
	}
	var k Key
	err := postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		plain := value.Reveal()
		tag, err := tx.Exec(ctx, insertKey, keyID, account, secret.Sum(plain), plain[len(plain)-hintLen:], scopes, expiry)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.NotFound, "There is no such service account.")
		}
		rows, err := tx.Query(ctx, selectKey, keyID)
		if err != nil {
			return err
		}
		if k, err = pgx.CollectExactlyOneRow(rows, scanKey); err != nil {
			return err
		}
		return s.audit(ctx, tx, "api_key.created", keyID, by)
	})
	if err != nil {
		return Key{}, "", err
	}
	return k, value, nil
}

// Check reports every fault of a key that is to be made, as Create does.
func (s *Keys) Check(scopes []string, expiresAt time.Time) error {
	var faults []fault.Field
	if len(scopes) == 0 {
		faults = append(faults, fault.Field{Pointer: "/scopes", Detail: "must not be empty"})
	}
	for i, scope := range scopes {
		if !slices.Contains(s.Scopes, scope) || slices.Contains(scopes[:i], scope) {
			faults = append(faults, fault.Field{
				Pointer: fmt.Sprintf("/scopes/%d", i), Detail: "must be one of " + strings.Join(s.Scopes, ", ") + ", each once",
			})
		}
	}
	if !expiresAt.IsZero() && !expiresAt.After(s.Now()) {
		faults = append(faults, fault.Field{Pointer: "/expires_at", Detail: "must lie in the future"})
	}
	if len(faults) > 0 {
		return fault.New(fault.Invalid, "The API key is not acceptable.").WithFields(faults...)
	}
	return nil
}

// List returns up to limit keys (200 at most) with ids after the given one; an
// account that is not zero narrows them.
func (s *Keys) List(ctx context.Context, account, after id.ID, limit int) ([]Key, error) {
	rows, err := s.DB.Query(ctx, selectKeys, account, after, min(max(limit, 1), maxPage))
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, scanKey)
	return all, postgres.Translate(err)
}

// Revoke ends a key everywhere: here at once, at the API within seconds.
func (s *Keys) Revoke(ctx context.Context, key id.ID, by audit.Actor) error {
	return postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		if err := s.revokeAll(ctx, tx, revokeKey, key); err != nil {
			return err
		}
		return s.audit(ctx, tx, "api_key.revoked", key, by)
	})
}

// revokeAll runs a statement that ends keys and puts them into the feed. One
// for a single key that finds none is fault.NotFound.
func (s *Keys) revokeAll(ctx context.Context, tx pgx.Tx, statement string, subject id.ID) error {
	rows, err := tx.Query(ctx, statement, subject)
	if err != nil {
		return err
	}
	ended, err := pgx.CollectRows(rows, pgx.RowTo[id.ID])
	if err != nil {
		return err
	}
	if len(ended) == 0 && statement == revokeKey {
		return fault.New(fault.NotFound, "There is no such API key.")
	}
	for _, key := range ended {
		if err := revocation.Insert(ctx, tx, revocation.APIKey, key.String()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Keys) audit(ctx context.Context, tx pgx.Tx, action string, target id.ID, by audit.Actor) error {
	return audit.Auth().Insert(ctx, tx, audit.Event{
		OccurredAt: s.Now(), Action: action, Result: audit.Success, Actor: by, Target: target.String(),
	})
}
