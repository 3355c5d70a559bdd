package account

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/link"
	"larder/internal/password"
	"larder/internal/postgres"
	"larder/internal/revocation"
	"larder/internal/secret"
)

const (
	maxName = 200 // characters
	maxPage = 200 // users
)

// SessionEnder signs a person out.
type SessionEnder interface {
	EndUser(ctx context.Context, subject id.ID) (int, error)
	// EndOwn ends those sessions of a person that choose picks.
	EndOwn(ctx context.Context, subject id.ID, choose func(sid string) bool) (int, error)
}

// Accounts keeps users in schema auth.
type Accounts struct {
	DB       *pgxpool.Pool
	Hasher   *password.Hasher
	Policy   *password.Policy // nil is the rules without a list of stolen passwords
	Sessions SessionEnder
	Links    *link.Links
	Jobs     Jobs // nil writes to nobody
	Now      func() time.Time
	// SessionEnded, if not nil, has the clients of a session told of its end, once tx
	// has committed.
	SessionEnded func(ctx context.Context, tx pgx.Tx, sid string) (clients []string, err error)
	// Leaving, if not nil, is told of an account in the transaction that is about
	// to delete it.
	Leaving func(ctx context.Context, tx pgx.Tx, user id.ID) error
}

// NewUser is what an account is made from.
type NewUser struct {
	Name          string
	Email         string
	EmailVerified bool
	Password      secret.String // "" makes an account that cannot sign in yet
	Operator      bool
	Profile       map[string]any // standard claims of OpenID Connect Core §5.1, by name
}

// Create makes an account. It fails with fault.Invalid on a name, address or
// password that is not acceptable, and with fault.Conflict when the address
// belongs to somebody, in whatever spelling.
func (a *Accounts) Create(ctx context.Context, by audit.Actor, n NewUser) (user id.ID, err error) {
	var hash string
	if n.Password != "" {
		if hash, err = a.Hash(ctx, n.Password, n.Email, n.Name); err != nil {
			return id.ID{}, err
		}
	}
	err = postgres.InTx(ctx, a.DB, func(tx pgx.Tx) (err error) {
		user, err = a.CreateIn(ctx, tx, by, n, hash)
		return err
	})
	return user, err
}

// CreateIn is Create in a transaction of the caller, with a password that Hash
// has seen, "" for none; n.Password is not looked at.
func (a *Accounts) CreateIn(ctx context.Context, tx pgx.Tx, by audit.Actor, n NewUser, hash string) (id.ID, error) {
	name, err := cleanName(n.Name)
	if err != nil {
		return id.ID{}, err
	}
	canonical, err := Canonical(n.Email)
	if err != nil {
		return id.ID{}, err
	}
	if n.Profile == nil {
		n.Profile = map[string]any{}
	}
	user, now := id.New(), a.Now()
	var verified *time.Time
	if n.EmailVerified {
		verified = &now
	}
	b := &pgx.Batch{}
	b.Queue(insertUser, user, name, n.Operator, n.Profile)
	b.Queue(insertEmail, canonical, user, strings.TrimSpace(n.Email), verified)
	if hash != "" {
		b.Queue(upsertPassword, user, hash, now)
	}
	audit.Auth().Batch(b, audit.Event{OccurredAt: now, Action: "user.created", Result: audit.Success, Actor: by, Target: user.String()})
	err = postgres.Translate(tx.SendBatch(ctx, b).Close())
	if fault.Is(err, fault.Conflict) {
		return id.ID{}, fault.Wrap(fault.Conflict, "This e-mail address has an account already.", err).WithCode("email_taken")
	}
	return user, err
}

// SetPassword gives a user a new password and ends whatever the old one let in:
// sessions, grants, access tokens and links that were mailed. The user is told.
func (a *Accounts) SetPassword(ctx context.Context, by audit.Actor, user id.ID, newPassword secret.String) error {
	_, err := a.setPassword(ctx, by, user, newPassword, func(pgx.Tx) error { return nil })
	return err
}

// Disable shuts a user out: no sign-in, and every session, grant and access
// token ends. A user who is disabled already stays so, and is signed out again.
func (a *Accounts) Disable(ctx context.Context, by audit.Actor, user id.ID) error {
	now := a.Now()
	return a.SignOut(ctx, user, "user_disabled", func(tx pgx.Tx) error {
		return a.change(ctx, tx, updateDisabled, user, audit.Event{OccurredAt: now, Action: "user.disabled", Result: audit.Success, Actor: by, Target: user.String()})
	})
}

// Enable lets a disabled user sign in again.
func (a *Accounts) Enable(ctx context.Context, by audit.Actor, user id.ID) error {
	return postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		return a.change(ctx, tx, updateEnabled, user, audit.Event{OccurredAt: a.Now(), Action: "user.enabled", Result: audit.Success, Actor: by, Target: user.String()})
	})
}

// User returns a user, disabled ones too; fault.NotFound when there is none.
func (a *Accounts) User(ctx context.Context, subject id.ID) (*oidc.User, error) {
	return oneUser(ctx, a.DB, selectUser, subject)
}

// ByEmail returns the user who has an address, in whatever spelling.
func (a *Accounts) ByEmail(ctx context.Context, address string) (*oidc.User, error) {
	canonical, err := Canonical(address)
	if err != nil {
		return nil, err
	}
	return oneUser(ctx, a.DB, selectUserByEmail, canonical)
}

// List returns up to limit users (at most 200) whose ids come after the given
// one, in the order in which they were made.
func (a *Accounts) List(ctx context.Context, after id.ID, limit int) ([]oidc.User, error) {
	from := after.String() // the nil UUID comes before every other, NULL would compare with none
	rows, err := a.DB.Query(ctx, selectUsers, from, min(max(limit, 1), maxPage))
	if err != nil {
		return nil, postgres.Translate(err)
	}
	users, err := pgx.CollectRows(rows, scanUser)
	return users, postgres.Translate(err)
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func oneUser(ctx context.Context, db querier, query string, arg any) (*oidc.User, error) {
	rows, err := db.Query(ctx, query, arg)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	u, err := pgx.CollectExactlyOneRow(rows, scanUser)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	return &u, nil
}

func scanUser(row pgx.CollectableRow) (oidc.User, error) {
	var u oidc.User
	var set *time.Time
	err := row.Scan(&u.ID, &u.Name, &u.Email, &u.EmailVerified, &u.Profile, &u.Operator, &u.Disabled, &set, &u.UpdatedAt)
	if set != nil {
		u.HasPassword, u.PasswordSet = true, *set
	}
	return u, err
}

// change runs an update that may find its work done, but not its user gone, and
// audits it if it changed something.
func (a *Accounts) change(ctx context.Context, tx pgx.Tx, update string, user id.ID, e audit.Event) error {
	tag, err := tx.Exec(ctx, update, user, e.OccurredAt)
	if err != nil {
		return err
	}
	if tag.RowsAffected() > 0 {
		return audit.Auth().Insert(ctx, tx, e)
	}
	var there bool
	if err := tx.QueryRow(ctx, existsUser, user).Scan(&there); err != nil {
		return err
	}
	if !there {
		return pgx.ErrNoRows
	}
	return nil
}

// SignOut commits a change together with the end of every grant, access token and
// API key of the user, and then ends the sessions. reason is what the grants say of
// it. Should Redis be gone for the sessions, the caller hears of it and can repeat
// the call.
func (a *Accounts) SignOut(ctx context.Context, user id.ID, reason string, change func(pgx.Tx) error) error {
	now := a.Now()
	err := postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockUser, user); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, revokeGrants, user, now, reason); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, revokeKeys, user, now); err != nil {
			return err
		}
		return revocation.Insert(ctx, tx, revocation.Subject, user.String())
	})
	if err != nil {
		return err
	}
	_, err = a.Sessions.EndUser(ctx, user)
	return err
}

func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	n := utf8.RuneCountInString(name)
	if !utf8.ValidString(name) || n < 1 || n > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "The name must have 1 to 200 characters, on one line.").
			WithFields(fault.Field{Pointer: "/name", Detail: "1 to 200 characters, on one line"})
	}
	return name, nil
}
