package client

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/postgres"
	"larder/internal/revocation"
	"larder/internal/sealed"
	"larder/internal/secret"
)

const (
	pollEvery = 500 * time.Millisecond
	maxPage   = 200
	maxID     = 128

	idCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)

// Clients is the register of clients. Fill in the exported fields.
type Clients struct {
	DB    DB
	Rules Rules
	Fetch Fetcher // nil lets no sector_identifier_uri be registered
	// Keyring seals the secrets of clients that sign with them.
	Keyring func(ctx context.Context) (*sealed.Keyring, error)
	Now     func() time.Time
	Log     *slog.Logger

	cache cache
}

// Client returns a client that may be used now; the result is shared and must
// not be changed. An unknown or disabled one is fault.NotFound.
func (s *Clients) Client(ctx context.Context, clientID string) (*oidc.Client, error) {
	client, known := s.cache.get(clientID)
	if !known {
		if !validID(clientID) {
			return nil, unknownClient()
		}
		generation := s.cache.generation()
		var err error
		client, err = one(ctx, s.DB, selectClient, clientID)
		if err = postgres.Translate(err); err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		s.cache.put(clientID, client, generation)
	}
	if client == nil || client.Disabled {
		return nil, unknownClient()
	}
	return client, nil
}

func unknownClient() error { return fault.New(fault.NotFound, "There is no such client.") }

// Show returns a client whether it is disabled or not, fresh from the database.
func (s *Clients) Show(ctx context.Context, clientID string) (*oidc.Client, error) {
	client, err := one(ctx, s.DB, selectClient, clientID)
	if err = postgres.Translate(err); fault.Is(err, fault.NotFound) {
		return nil, unknownClient()
	}
	return client, err
}

// List returns up to limit clients (200 at most) with ids after the given one,
// in the order of their ids.
func (s *Clients) List(ctx context.Context, after string, limit int) ([]*oidc.Client, error) {
	rows, err := s.DB.Query(ctx, listClients, after, min(max(limit, 1), maxPage))
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, scanClient)
	return all, postgres.Translate(err)
}

// Create registers a client. An empty id gets a random one. The secret is
// returned this once; it is empty for a client that has none. Faults of the
// metadata are fault.Invalid, all at once; an id that is taken is
// fault.Conflict.
func (s *Clients) Create(ctx context.Context, clientID string, m oidc.Metadata, by audit.Actor) (*oidc.Client, secret.String, error) {
	if clientID == "" {
		clientID = strings.ToLower(rand.Text())
	}
	if !validID(clientID) {
		return nil, "", fault.New(fault.Invalid, "A client_id is 1 to 128 letters, digits and -._~.")
	}
	if err := s.check(ctx, &m); err != nil {
		return nil, "", err
	}
	value, made, err := s.needed(ctx, clientID, m, secrets{})
	if err != nil {
		return nil, "", err
	}
	return s.insert(ctx, clientID, m, value, made, by)
}

func (s *Clients) insert(ctx context.Context, clientID string, m oidc.Metadata, value secret.String, made secrets, by audit.Actor) (*oidc.Client, secret.String, error) {
	client, err := s.change(ctx, "client.created", clientID, by, func(tx pgx.Tx) (*oidc.Client, error) {
		return one(ctx, tx, insertClient, clientID, made.hashes, made.sealed, m)
	})
	if fault.Is(err, fault.Conflict) {
		err = fault.Wrap(fault.Conflict, "This client_id is taken.", err).WithCode("client_id_taken")
	}
	if err != nil {
		return nil, "", err
	}
	return client, value, nil
}

// Update replaces a client's metadata. A version other than 0 must be the
// present one (fault.PreconditionFailed). A secret is returned when the new
// metadata needs one and there was none.
func (s *Clients) Update(ctx context.Context, clientID string, version int64, m oidc.Metadata, by audit.Actor) (*oidc.Client, secret.String, error) {
	if err := s.check(ctx, &m); err != nil {
		return nil, "", err
	}
	var value secret.String
	client, err := s.change(ctx, "client.updated", clientID, by, func(tx pgx.Tx) (*oidc.Client, error) {
		old, err := one(ctx, tx, lockClient, clientID)
		if err != nil {
			return nil, err
		}
		if version != 0 && version != old.Version {
			return nil, fault.New(fault.PreconditionFailed, "The client has changed since you read it.")
		}
		var made secrets
		if value, made, err = s.needed(ctx, clientID, m, secretsOf(old)); err != nil {
			return nil, err
		}
		return one(ctx, tx, updateClient, clientID, made.hashes, made.sealed, m)
	})
	if err != nil {
		return nil, "", err
	}
	return client, value, nil
}

// RotateSecret gives a client a new secret, returned this once. The one before
// it stays good until DropOldSecret or the next rotation.
func (s *Clients) RotateSecret(ctx context.Context, clientID string, by audit.Actor) (secret.String, error) {
	value := secret.New()
	_, err := s.changeSecrets(ctx, "client.secret_rotated", clientID, by, func(old *oidc.Client) (secrets, error) {
		return s.before(ctx, clientID, old.Metadata, value, secretsOf(old))
	})
	if err != nil {
		return "", err
	}
	return value, nil
}

// DropOldSecret ends every secret but the newest.
func (s *Clients) DropOldSecret(ctx context.Context, clientID string, by audit.Actor) error {
	_, err := s.changeSecrets(ctx, "client.old_secret_dropped", clientID, by, func(old *oidc.Client) (secrets, error) {
		return secretsOf(old).newest(), nil
	})
	return err
}

func (s *Clients) changeSecrets(ctx context.Context, action, clientID string, by audit.Actor, f func(old *oidc.Client) (secrets, error)) (*oidc.Client, error) {
	return s.change(ctx, action, clientID, by, func(tx pgx.Tx) (*oidc.Client, error) {
		old, err := one(ctx, tx, lockClient, clientID)
		if err != nil {
			return nil, err
		}
		if !usesSecret(old.Metadata) {
			return nil, fault.New(fault.Conflict, "This client does not authenticate with a secret.")
		}
		made, err := f(old)
		if err != nil {
			return nil, err
		}
		return one(ctx, tx, updateClient, clientID, made.hashes, made.sealed, old.Metadata)
	})
}

// SetDisabled ends a client, with everything that was granted to it, or lets
// it begin anew.
func (s *Clients) SetDisabled(ctx context.Context, clientID string, disabled bool, by audit.Actor) (*oidc.Client, error) {
	action := "client.enabled"
	if disabled {
		action = "client.disabled"
	}
	return s.change(ctx, action, clientID, by, func(tx pgx.Tx) (*oidc.Client, error) {
		client, err := one(ctx, tx, setDisabled, clientID, disabled)
		if err != nil || !disabled {
			return client, err
		}
		if _, err := tx.Exec(ctx, revokeGrants, clientID); err != nil {
			return nil, err
		}
		return client, revocation.Insert(ctx, tx, revocation.Client, clientID)
	})
}

// Ensure registers a client with a secret that is known already, or brings it
// to that state; the demo family needs it.
func (s *Clients) Ensure(ctx context.Context, clientID string, m oidc.Metadata, value secret.String, by audit.Actor) error {
	if err := s.check(ctx, &m); err != nil {
		return err
	}
	made := secrets{hashes: [][]byte{}, sealed: [][]byte{}}
	if value != "" {
		var err error
		if made, err = s.before(ctx, clientID, m, value, secrets{}); err != nil {
			return err
		}
	}
	_, _, err := s.insert(ctx, clientID, m, value, made, by)
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	_, err = s.change(ctx, "client.updated", clientID, by, func(tx pgx.Tx) (*oidc.Client, error) {
		return one(ctx, tx, updateClient, clientID, made.hashes, made.sealed, m)
	})
	return err
}

// change runs f and writes the audit event in one transaction, and makes this
// replica see the result at once.
func (s *Clients) change(ctx context.Context, action, clientID string, by audit.Actor, f func(pgx.Tx) (*oidc.Client, error)) (*oidc.Client, error) {
	var client *oidc.Client
	err := postgres.InTx(ctx, s.DB, func(tx pgx.Tx) (err error) {
		if client, err = f(tx); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: s.Now(), Action: action, Result: audit.Success, Actor: by, ClientID: clientID, Target: clientID,
		})
	})
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			err = unknownClient()
		}
		return nil, err
	}
	s.cache.drop(clientID, client.Version)
	return client, nil
}

// Run follows what other replicas change until ctx is done. A poll that fails
// is logged and tried again.
func (s *Clients) Run(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var since time.Time
	for {
		if err := s.poll(ctx, &since); err != nil && ctx.Err() == nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "client changes not read", slog.String("error", err.Error()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// poll drops what has changed since, and moves since on.
func (s *Clients) poll(ctx context.Context, since *time.Time) error {
	if since.IsZero() {
		return s.DB.QueryRow(ctx, selectNow).Scan(since)
	}
	rows, err := s.DB.Query(ctx, selectChanged, *since)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, scanChanged)
	if err != nil {
		return err
	}
	for _, c := range all {
		s.cache.drop(c.id, c.version)
		*since = c.at
	}
	return nil
}

// validID keeps nonsense away from the database; it also keeps ids readable in
// URLs and logs.
func validID(s string) bool {
	return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(idCharacters, r) })
}
