package passkey

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	maxPasskeys = 20 // of one person
	maxName     = 60 // characters
)

// Factors knows what else a person's account is guarded by.
type Factors interface {
	// Strengthen is called in the transaction that gives a person a passkey. It
	// returns recovery codes for whoever has none yet.
	Strengthen(ctx context.Context, tx pgx.Tx, user id.ID) (codes []string, err error)
	// Weaken is called in the transaction that took a passkey away. Once no
	// factor is left it ends what they vouched for, and says so.
	Weaken(ctx context.Context, tx pgx.Tx, user id.ID) (last bool, err error)
	// Tell writes to the person.
	Tell(ctx context.Context, tx pgx.Tx, user id.ID, subject, what string) error
}

// SessionEnder signs a person out everywhere.
type SessionEnder interface {
	EndUser(ctx context.Context, subject id.ID) (int, error)
}

// Passkeys keeps passkeys in schema auth, and challenges in Redis.
type Passkeys struct {
	DB       *pgxpool.Pool
	Redis    *redis.Client
	RP       *webauthn.WebAuthn // nil turns passkeys off
	Factors  Factors
	Sessions SessionEnder
	Now      func() time.Time
}

// RelyingParty is what authenticators know us as: the issuer's host as RP ID and
// the issuer as the only origin. name is shown to people. It is nil for an issuer by IP address, which
// WebAuthn §5.1.2 does not allow.
func RelyingParty(issuer, name string) *webauthn.WebAuthn {
	u, err := url.Parse(issuer)
	if err != nil || protocol.ValidateRPID(u.Hostname()) != nil {
		return nil
	}
	yes := true
	rp, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: name, RPOrigins: []string{issuer},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &yes, ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login: webauthn.TimeoutConfig{Timeout: challengeLife}, Registration: webauthn.TimeoutConfig{Timeout: challengeLife},
		},
	})
	if err != nil {
		return nil
	}
	return rp
}

// passkey is a row.
type passkey struct {
	oidc.Passkey
	record webauthn.Credential
}

// person is somebody with a handle, as the library wants to know them.
type person struct {
	id            id.ID
	handle        []byte
	name, address string
	passkeys      []passkey
}

func (p *person) WebAuthnID() []byte          { return p.handle }
func (p *person) WebAuthnDisplayName() string { return p.name }

func (p *person) WebAuthnName() string {
	if p.address == "" {
		return p.name
	}
	return p.address
}

func (p *person) WebAuthnCredentials() []webauthn.Credential {
	all := make([]webauthn.Credential, 0, len(p.passkeys))
	for i := range p.passkeys {
		all = append(all, p.passkeys[i].record)
	}
	return all
}

// find returns a person with their passkeys, or fault.NotFound.
func (s *Passkeys) find(ctx context.Context, query string, arg any) (*person, error) {
	p := &person{}
	if err := s.DB.QueryRow(ctx, query, arg).Scan(&p.id, &p.handle, &p.name, &p.address); err != nil {
		return nil, postgres.Translate(err)
	}
	var err error
	p.passkeys, err = s.rows(ctx, p.id)
	return p, err
}

func (s *Passkeys) rows(ctx context.Context, user id.ID) ([]passkey, error) {
	rows, err := s.DB.Query(ctx, selectPasskeys, user)
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, scanPasskey)
	return all, postgres.Translate(err)
}

func scanPasskey(row pgx.CollectableRow) (p passkey, err error) {
	var count int64
	var transports []string
	var aaguid id.ID
	c := &p.record
	err = row.Scan(&p.ID, &p.Name, &c.ID, &c.PublicKey, &count, &transports, &aaguid, &c.Flags.BackupEligible, &c.Flags.BackupState, &p.CreatedAt, &p.LastUsedAt)
	p.Synced = c.Flags.BackupEligible
	c.Flags.UserPresent, c.Flags.UserVerified = true, true
	c.Authenticator.AAGUID, c.Authenticator.SignCount = aaguid[:], uint32(count) //nolint:gosec // it was one when it was kept
	for _, t := range transports {
		c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
	}
	return p, err
}

// List returns a person's passkeys, the oldest first.
func (s *Passkeys) List(ctx context.Context, user id.ID) ([]oidc.Passkey, error) {
	rows, err := s.rows(ctx, user)
	if err != nil {
		return nil, err
	}
	all := make([]oidc.Passkey, 0, len(rows))
	for i := range rows {
		all = append(all, rows[i].Passkey)
	}
	return all, nil
}

// Rename changes what a person calls a passkey: 1 to 60 characters.
func (s *Passkeys) Rename(ctx context.Context, user, key id.ID, name string) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	tag, err := s.DB.Exec(ctx, renamePasskey, user, key, name)
	if err == nil && tag.RowsAffected() == 0 {
		return gone()
	}
	return postgres.Translate(err)
}

// Remove takes a passkey away, unless it is the last way into the account, which
// is fault.Conflict. If it was the last factor, the person is signed
// out everywhere, and last says so.
func (s *Passkeys) Remove(ctx context.Context, user, key id.ID) (last bool, err error) {
	err = postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockUser, user); err != nil {
			return err
		}
		var name string
		err := tx.QueryRow(ctx, deletePasskey, user, key).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return gone()
		}
		if err != nil {
			return err
		}
		var wayIn bool
		if err := tx.QueryRow(ctx, selectWayIn, user).Scan(&wayIn); err != nil {
			return err
		}
		if !wayIn {
			return fault.New(fault.Conflict, "This is the only way into your account. Set a password first, or link another account.").WithCode("last_way_in")
		}
		if last, err = s.Factors.Weaken(ctx, tx, user); err != nil {
			return err
		}
		if err := s.Factors.Tell(ctx, tx, user, "A passkey was removed", "The passkey “"+name+"” was removed from your Larder account; it does not sign in any more."); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, s.event("passkey.removed", user, key))
	})
	if err != nil || !last {
		return false, err
	}
	_, err = s.Sessions.EndUser(ctx, user)
	return true, err
}

// Export returns what is kept of a person's passkeys.
func (s *Passkeys) Export(ctx context.Context, user id.ID) (any, error) {
	all, err := s.List(ctx, user)
	if err != nil {
		return nil, err
	}
	type exported struct {
		Name       string     `json:"name"`
		CreatedAt  time.Time  `json:"created_at"`
		LastUsedAt *time.Time `json:"last_used_at,omitempty"`
		Synced     bool       `json:"synced"`
	}
	out := make([]exported, 0, len(all))
	for _, p := range all {
		out = append(out, exported{p.Name, p.CreatedAt, p.LastUsedAt, p.Synced})
	}
	return out, nil
}

func (s *Passkeys) event(action string, user, key id.ID) audit.Event {
	return audit.Event{
		OccurredAt: s.Now(), Action: action, Result: audit.Success, Actor: audit.Person(user), Target: key.String(),
	}
}

func gone() error { return fault.New(fault.NotFound, "This passkey is not there any more.") }

func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	n := utf8.RuneCountInString(name)
	if !utf8.ValidString(name) || n < 1 || n > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "The name must have 1 to 60 characters, on one line.")
	}
	return name, nil
}
