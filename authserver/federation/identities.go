package federation

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/mail"
	"larder/internal/postgres"
	"larder/internal/sealed"
	"larder/internal/web"
)

// Accounts makes and knows accounts.
type Accounts interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
	ByEmail(ctx context.Context, address string) (*oidc.User, error)
	// Register makes the account of somebody who has proven the address.
	Register(ctx context.Context, tx pgx.Tx, name, address, hash, language string) (id.ID, error)
	// SignOut commits a change with the end of all that the person is signed in
	// to.
	SignOut(ctx context.Context, user id.ID, reason string, change func(pgx.Tx) error) error
}

// Jobs takes in what is to be done once a transaction has committed.
type Jobs interface {
	Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// Identities keeps who signs in with which account elsewhere.
type Identities struct {
	DB       *pgxpool.Pool
	Accounts Accounts
	Jobs     Jobs
	// Keyring seals refresh tokens; it is asked at each use, since keys rotate.
	Keyring   func() *sealed.Keyring
	Providers []*Provider
	Now       func() time.Time
}

// provider returns one by its name, nil if it is not offered.
func (s *Identities) provider(name string) *Provider {
	for _, p := range s.Providers {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Offered lists the providers that people may choose from.
func (s *Identities) Offered() []oidc.SignInProvider {
	var all []oidc.SignInProvider
	for _, p := range s.Providers {
		all = append(all, p.SignInProvider)
	}
	return all
}

// find returns the identity of a subject; fault.NotFound when nobody has it.
func (s *Identities) find(ctx context.Context, issuer, subject string) (*Identity, error) {
	rows, err := s.DB.Query(ctx, selectIdentity, issuer, subject)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, scanIdentity)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	return &found, nil
}

// List returns a person's identities, the oldest first.
func (s *Identities) List(ctx context.Context, user id.ID) ([]Identity, error) {
	all, err := list(ctx, s.DB, user)
	return all, postgres.Translate(err)
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func list(ctx context.Context, db querier, user id.ID) ([]Identity, error) {
	rows, err := db.Query(ctx, selectIdentities, user)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanIdentity)
}

// used notes a sign-in: what the provider says now, and Apple's newest token.
func (s *Identities) used(ctx context.Context, i *Identity, who *profile) error {
	_, err := s.DB.Exec(ctx, updateUsed, i.ID, who.Email, who.PrivateRelay, s.seal(i.ID, who), s.Now())
	return postgres.Translate(err)
}

func (s *Identities) seal(identity id.ID, who *profile) []byte {
	if who.RefreshToken == "" {
		return nil
	}
	return s.Keyring().Seal(tokenPlace(identity), []byte(who.RefreshToken.Reveal()))
}

func tokenPlace(identity id.ID) string { return "auth.identities/refresh_token/" + identity.String() }

// register makes the account of somebody whom nobody here knows. It fails with
// fault.Conflict when address or identity got an account meanwhile. language is
// the one that they are spoken to in.
func (s *Identities) register(ctx context.Context, p *Provider, who *profile, language string) (user, identity id.ID, err error) {
	err = postgres.InTx(ctx, s.DB, func(tx pgx.Tx) (err error) {
		if user, err = s.Accounts.Register(ctx, tx, nameOf(who), who.Email, "", language); err != nil {
			return err
		}
		if identity, err = s.insert(ctx, tx, p, who, user); err != nil {
			return err
		}
		return s.tell(ctx, tx, user, "Welcome to Larder", "Your Larder account was made. You sign in to it with "+p.Title+".")
	})
	return user, identity, err
}

// nameOf is a name for the account, which its owner can change. A relay address
// says nothing about anybody.
func nameOf(who *profile) string {
	said := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(who.Name, ""))
	name := strings.Join(strings.Fields(said), " ")
	if runes := []rune(name); len(runes) > maxName {
		name = string(runes[:maxName])
	}
	if name == "" && !who.PrivateRelay {
		name, _, _ = strings.Cut(who.Email, "@")
	}
	if name == "" {
		return "New member"
	}
	return name
}

const maxName = 100 // characters that we take from a provider

// link adds an identity to somebody's account; that it is there already is
// fine. It fails with fault.Conflict when it is another person's.
func (s *Identities) link(ctx context.Context, p *Provider, who *profile, user id.ID) error {
	err := postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		var hasPassword bool
		if err := tx.QueryRow(ctx, lockUser, user).Scan(&hasPassword); err != nil {
			return err
		}
		all, err := list(ctx, tx, user)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(i Identity) bool { return i.Provider == p.Name && i.Subject == who.Subject }) {
			return nil
		}
		if len(all) >= maxIdentities {
			return fault.New(fault.Conflict, "Your account has ten linked accounts already. Unlink one first.").WithCode("too_many")
		}
		if _, err := s.insert(ctx, tx, p, who, user); err != nil {
			return err
		}
		return s.tell(ctx, tx, user, p.Title+" was linked to your account",
			"The "+p.Title+" account "+who.Email+" was linked to your Larder account and signs in to it from now on.")
	})
	if shown, ok := web.Shown(err); ok && shown.Kind == fault.Conflict && shown.Code == "" {
		return fault.Wrap(fault.Conflict, "This "+p.Title+" account signs in to another Larder account already.", err).WithCode("identity_taken")
	}
	return err
}

func (s *Identities) insert(ctx context.Context, tx pgx.Tx, p *Provider, who *profile, user id.ID) (identity id.ID, err error) {
	identity = id.New()
	_, err = tx.Exec(ctx, insertIdentity, identity, user, p.Name, p.issuer, who.Subject, who.Email, who.PrivateRelay, s.seal(identity, who), s.Now())
	if err != nil {
		return identity, postgres.Translate(err)
	}
	return identity, s.record(ctx, tx, "identity.linked", audit.Person(user), user, identity, p.Name)
}

// unlink removes an identity of a person, unless it is the last way in. A
// password and a passkey are ways in of their own.
func (s *Identities) unlink(ctx context.Context, user, identity id.ID) error {
	return postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		var ownWay bool
		if err := tx.QueryRow(ctx, lockUser, user).Scan(&ownWay); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, selectOwnWay, user).Scan(&ownWay); err != nil {
			return err
		}
		all, err := list(ctx, tx, user)
		if err != nil {
			return err
		}
		n := slices.IndexFunc(all, func(i Identity) bool { return i.ID == identity })
		if n < 0 {
			return fault.New(fault.NotFound, "This account is not linked.")
		}
		gone := all[n]
		usable := slices.ContainsFunc(all, func(i Identity) bool { return i.ID != identity && !i.Suspended })
		if !ownWay && !usable {
			return fault.New(fault.Conflict, "This is the only way into your account. Set a password first, or link another account.").WithCode("last_way_in")
		}
		return s.drop(ctx, tx, audit.Person(user), &gone, "The "+titleOf(gone.Provider)+" account "+gone.Email+" was unlinked from your Larder account and signs in to it no more.")
	})
}

// drop deletes an identity, and has Apple's token taken back.
func (s *Identities) drop(ctx context.Context, tx pgx.Tx, by audit.Actor, gone *Identity, what string) error {
	tag, err := tx.Exec(ctx, deleteIdentity, gone.ID, gone.UserID)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if err := s.leaveRevocation(ctx, tx, gone); err != nil {
		return err
	}
	if err := s.record(ctx, tx, "identity.unlinked", by, gone.UserID, gone.ID, gone.Provider); err != nil {
		return err
	}
	return s.tell(ctx, tx, gone.UserID, titleOf(gone.Provider)+" was unlinked from your account", what)
}

func (s *Identities) record(ctx context.Context, tx pgx.Tx, action string, by audit.Actor, user, identity id.ID, provider string) error {
	return audit.Auth().Insert(ctx, tx, audit.Event{
		OccurredAt: s.Now(), Action: action, Result: audit.Success, Actor: by, Target: user.String(),
		Details: map[string]any{"provider": provider, "identity": identity.String()},
	})
}

const selectAddress = `
SELECT coalesce(e.address, ''), u.name FROM auth.users u LEFT JOIN auth.emails e ON e.user_id = u.id AND e.is_primary WHERE u.id = $1`

// tell writes to a person in the transaction of what they should know.
func (s *Identities) tell(ctx context.Context, tx pgx.Tx, user id.ID, subject, what string) error {
	var to, name string
	if err := tx.QueryRow(ctx, selectAddress, user).Scan(&to, &name); err != nil {
		return err
	}
	if to == "" || s.Jobs == nil {
		return nil
	}
	return s.Jobs.Insert(ctx, tx, mail.Letter{
		Template: "identity_changed", To: to, Name: name,
		Facts: map[string]string{"subject": subject, "what": what, "when": mail.When(s.Now())},
	})
}

func titleOf(provider string) string {
	switch provider {
	case google:
		return "Google"
	case apple:
		return "Apple"
	}
	return provider
}
