package client

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/postgres"
	"larder/internal/secret"
)

const (
	insertRegistration = `INSERT INTO auth.client_registrations (client_id, access_hash) VALUES ($1, $2)`

	selectRegistered = `
SELECT ` + columns + ` FROM auth.clients
 WHERE id = $1 AND disabled_at IS NULL
   AND EXISTS (SELECT 1 FROM auth.client_registrations r WHERE r.client_id = clients.id AND r.access_hash = $2)`

	// Initial access tokens.
	insertInitial = `INSERT INTO auth.registration_tokens (hash, uses_left, created_by, expires_at) VALUES ($1, $2, $3, $4)`

	useInitial = `
UPDATE auth.registration_tokens SET uses_left = uses_left - 1 WHERE hash = $1 AND uses_left > 0 AND expires_at > $2`
)

// Register creates a client that registers itself (RFC 7591 §3). It returns,
// this once, its secret ("" for a client that has none) and the token to look
// after the registration with (RFC 7592). An initial access token, unless it is empty, is used up in the same transaction; one
// that is not good is fault.Unauthenticated. Faults of the metadata are
// fault.Invalid, all at once.
func (s *Clients) Register(ctx context.Context, m oidc.Metadata, initial string, by audit.Actor) (
	client *oidc.Client, clientSecret, accessToken secret.String, err error,
) {
	if err := s.check(ctx, &m); err != nil {
		return nil, "", "", err
	}
	clientID := strings.ToLower(rand.Text())
	accessToken = secret.New()
	clientSecret, made, err := s.needed(ctx, clientID, m, secrets{})
	if err != nil {
		return nil, "", "", err
	}
	client, err = s.change(ctx, "client.registered", clientID, by, func(tx pgx.Tx) (*oidc.Client, error) {
		if initial != "" {
			used, err := tx.Exec(ctx, useInitial, secret.Sum(initial), s.Now())
			if err != nil {
				return nil, err
			}
			if used.RowsAffected() == 0 {
				return nil, fault.New(fault.Unauthenticated, "The initial access token is unknown, used up or expired.")
			}
		}
		client, err := one(ctx, tx, insertClient, clientID, made.hashes, made.sealed, m)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, insertRegistration, clientID, secret.Sum(accessToken.Reveal()))
		return client, err
	})
	if err != nil {
		return nil, "", "", err
	}
	return client, clientSecret, accessToken, nil
}

// Registered returns the client that registered itself and holds this token. An
// unknown or disabled client and a wrong token look the same:
// fault.Unauthenticated.
func (s *Clients) Registered(ctx context.Context, clientID, accessToken string) (*oidc.Client, error) {
	refused := fault.New(fault.Unauthenticated, "The registration access token is not good for this client.")
	if !validID(clientID) || accessToken == "" {
		return nil, refused
	}
	client, err := one(ctx, s.DB, selectRegistered, clientID, secret.Sum(accessToken))
	if err = postgres.Translate(err); fault.Is(err, fault.NotFound) {
		return nil, refused
	}
	return client, err
}

// CreateRegistrationToken makes an initial access token that is good for some
// registrations until it expires. It is returned this once.
func (s *Clients) CreateRegistrationToken(ctx context.Context, uses int, expires time.Time, by audit.Actor) (secret.String, error) {
	const most = 10_000
	if uses < 1 || uses > most || !expires.After(s.Now()) {
		return "", fault.New(fault.Invalid, "A registration token needs 1 to 10000 uses and an end in the future.")
	}
	value := secret.New()
	err := postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertInitial, secret.Sum(value.Reveal()), uses, by.ID, expires); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: s.Now(), Action: "registration_token.created", Result: audit.Success, Actor: by,
			Details: map[string]any{"uses": uses, "expires_at": expires},
		})
	})
	if err != nil {
		return "", err
	}
	return value, nil
}
