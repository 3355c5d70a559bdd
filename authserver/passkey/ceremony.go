package passkey

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/jackc/pgx/v5"

	"larder/internal/audit"
	"larder/internal/cache"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/secret"
)

const (
	challengeLife = 5 * time.Minute
	handleBytes   = 32
)

// challenge is a ceremony that waits for its answer.
type challenge struct {
	Data webauthn.SessionData `json:"data"`
	// To is whom the answer must come from: the session that adds a passkey, or
	// the browser that signs in.
	To     string `json:"to"`
	Create bool   `json:"create,omitempty"`
	// User is whose passkeys are asked for; zero for a sign-in of whoever it is.
	User id.ID `json:"user,omitzero"`
}

func challengeKey(value string) string {
	return "passkey-challenge:" + hex.EncodeToString(secret.Sum(value))
}

func (s *Passkeys) remember(ctx context.Context, c challenge) error {
	c.To = hex.EncodeToString(secret.Sum(c.To))
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return cache.Translate(s.Redis.Set(ctx, challengeKey(c.Data.Challenge), raw, challengeLife).Err())
}

// spend returns the challenge that an answer names, once: GETDEL decides over
// all replicas (WebAuthn §13.4.3).
func (s *Passkeys) spend(ctx context.Context, value, to string, create bool) (*challenge, error) {
	raw, err := s.Redis.GetDel(ctx, challengeKey(value)).Bytes()
	if errors.Is(err, cache.ErrNone) {
		return nil, refused("challenge")
	}
	if err != nil {
		return nil, cache.Translate(err)
	}
	c := &challenge{}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	if c.Create != create || c.To != hex.EncodeToString(secret.Sum(to)) {
		return nil, refused("challenge")
	}
	return c, nil
}

// refusal is why an answer was not accepted, for the audit log only.
type refusal struct{ reason string }

func (e *refusal) Error() string { return e.reason }

func refused(reason string) error {
	return fault.Wrap(fault.Unauthenticated, "This passkey was not accepted.", &refusal{reason})
}

// reasonOf is the reason of a refusal, "" for any other error.
func reasonOf(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason
	}
	return ""
}

func (s *Passkeys) on() error {
	if s.RP == nil {
		return fault.New(fault.NotFound, "This service has no passkeys.")
	}
	return nil
}

// Add begins to set up a passkey in a session and returns the options for
// navigator.credentials.create.
func (s *Passkeys) Add(ctx context.Context, user id.ID, sid string) (options []byte, err error) {
	if err := s.on(); err != nil {
		return nil, err
	}
	handle := make([]byte, handleBytes)
	_, _ = rand.Read(handle) // never fails
	if _, err := s.DB.Exec(ctx, insertHandle, user, handle); err != nil {
		return nil, postgres.Translate(err)
	}
	p, err := s.find(ctx, selectPersonByID, user)
	if err != nil {
		return nil, err
	}
	if len(p.passkeys) >= maxPasskeys {
		return nil, tooMany()
	}
	creation, data, err := s.RP.BeginRegistration(p, webauthn.WithExclusions(webauthn.Credentials(p.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return nil, err
	}
	if err := s.remember(ctx, challenge{Data: *data, To: sid, Create: true, User: user}); err != nil {
		return nil, err
	}
	return json.Marshal(creation)
}

// Keep verifies the answer to Add (WebAuthn §7.1) and keeps the passkey. codes
// are recovery codes for whoever had none. It fails with fault.Unauthenticated
// on an answer that is not good, fault.Invalid on the name.
func (s *Passkeys) Keep(ctx context.Context, user id.ID, sid, name, answer string) (codes []string, err error) {
	if err := s.on(); err != nil {
		return nil, err
	}
	if name, err = cleanName(name); err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return nil, refused("malformed")
	}
	c, err := s.spend(ctx, parsed.Response.CollectedClientData.Challenge, sid, true)
	if err != nil {
		return nil, err
	}
	if c.User != user {
		return nil, refused("challenge")
	}
	p, err := s.find(ctx, selectPersonByID, user)
	if err != nil {
		return nil, err
	}
	record, err := s.RP.CreateCredential(p, c.Data, parsed)
	if err != nil {
		return nil, refused(describe(err))
	}
	err = postgres.InTx(ctx, s.DB, func(tx pgx.Tx) (err error) {
		codes, err = s.keepIn(ctx, tx, user, id.New(), name, record)
		return err
	})
	return codes, err
}

func (s *Passkeys) keepIn(ctx context.Context, tx pgx.Tx, user, key id.ID, name string, record *webauthn.Credential) (codes []string, err error) {
	var handle []byte
	var count int
	if err := tx.QueryRow(ctx, lockHandle, user).Scan(&handle); err != nil {
		return nil, err
	}
	if err := tx.QueryRow(ctx, countPasskeys, user).Scan(&count); err != nil {
		return nil, err
	}
	if count >= maxPasskeys {
		return nil, tooMany()
	}
	transports := make([]string, 0, len(record.Transport))
	for _, t := range record.Transport[:min(len(record.Transport), 8)] {
		transports = append(transports, string(t))
	}
	var aaguid id.ID
	copy(aaguid[:], record.Authenticator.AAGUID)
	_, err = tx.Exec(ctx, insertPasskey, key, user, record.ID, record.PublicKey, int64(record.Authenticator.SignCount), transports,
		aaguid, record.Flags.BackupEligible, record.Flags.BackupState, name, s.Now())
	if err = postgres.Translate(err); fault.Is(err, fault.Conflict) {
		return nil, fault.Wrap(fault.Conflict, "This passkey is set up already.", err)
	}
	if err != nil {
		return nil, err
	}
	if codes, err = s.Factors.Strengthen(ctx, tx, user); err != nil {
		return nil, err
	}
	if err := s.Factors.Tell(ctx, tx, user, "A passkey was added", "The passkey “"+name+"” was added to your Larder account; whoever holds it can sign in."); err != nil {
		return nil, err
	}
	return codes, audit.Auth().Insert(ctx, tx, s.event("passkey.added", user, key))
}

// Ask begins a sign-in at a browser and returns the options for
// navigator.credentials.get: for anybody's passkey, or for those of user if it
// is not zero. A user without one is fault.NotFound.
func (s *Passkeys) Ask(ctx context.Context, device string, user id.ID) (options []byte, err error) {
	if err := s.on(); err != nil {
		return nil, err
	}
	var assertion *protocol.CredentialAssertion
	var data *webauthn.SessionData
	if user.IsZero() {
		assertion, data, err = s.RP.BeginDiscoverableLogin()
	} else {
		var p *person
		if p, err = s.find(ctx, selectPersonByID, user); err != nil {
			return nil, err
		}
		if len(p.passkeys) == 0 {
			return nil, gone()
		}
		assertion, data, err = s.RP.BeginLogin(p)
	}
	if err != nil {
		return nil, err
	}
	if err := s.remember(ctx, challenge{Data: *data, To: device, User: user}); err != nil {
		return nil, err
	}
	return json.Marshal(assertion)
}

// Proof is who answered a challenge of Ask.
type Proof struct {
	User    id.ID
	Passkey id.ID
	Asked   bool // the challenge was for this person, who had given a password
	// Rewound says that the signature counter did not grow: perhaps there are
	// two of this passkey (WebAuthn §6.1.1).
	Rewound bool
}

// Check verifies the answer to Ask (WebAuthn §7.2). One that is not good is
// fault.Unauthenticated; the proof then says whose it claimed to be, if it did.
func (s *Passkeys) Check(ctx context.Context, device, answer string) (Proof, error) {
	if err := s.on(); err != nil {
		return Proof{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return Proof{}, refused("malformed")
	}
	c, err := s.spend(ctx, parsed.Response.CollectedClientData.Challenge, device, false)
	if err != nil {
		return Proof{}, err
	}
	p, err := s.claimed(ctx, c, parsed)
	if err != nil {
		return Proof{}, err
	}
	proof := Proof{User: p.id, Asked: !c.User.IsZero()}
	for i := range p.passkeys {
		if bytes.Equal(p.passkeys[i].record.ID, parsed.RawID) {
			proof.Passkey = p.passkeys[i].ID
		}
	}
	if proof.Passkey.IsZero() {
		return proof, refused("unknown_passkey")
	}
	var record *webauthn.Credential
	if proof.Asked {
		record, err = s.RP.ValidateLogin(p, c.Data, parsed)
	} else {
		record, err = s.RP.ValidateDiscoverableLogin(func([]byte, []byte) (webauthn.User, error) { return p, nil }, c.Data, parsed)
	}
	if err != nil {
		return proof, refused(describe(err))
	}
	proof.Rewound = record.Authenticator.CloneWarning
	tag, err := s.DB.Exec(ctx, usePasskey, p.id, proof.Passkey, int64(record.Authenticator.SignCount), record.Flags.BackupState, s.Now())
	if err != nil {
		return proof, postgres.Translate(err)
	}
	if tag.RowsAffected() == 0 { // removed meanwhile
		return proof, refused("unknown_passkey")
	}
	return proof, nil
}

// claimed is the person whom an answer names by the handle, or who was asked.
func (s *Passkeys) claimed(ctx context.Context, c *challenge, parsed *protocol.ParsedCredentialAssertionData) (p *person, err error) {
	if c.User.IsZero() {
		p, err = s.find(ctx, selectPersonByHandle, parsed.Response.UserHandle)
	} else {
		p, err = s.find(ctx, selectPersonByID, c.User)
	}
	if fault.Is(err, fault.NotFound) {
		return nil, refused("unknown_passkey")
	}
	return p, err
}

// describe is the library's own name for what is wrong, which holds nothing of
// the answer.
func describe(err error) string {
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.Type != "" {
		return e.Type
	}
	return "invalid"
}

func tooMany() error {
	return fault.New(fault.Conflict, "There are 20 passkeys already. Remove one that you do not use any more.")
}
