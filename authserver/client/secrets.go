package client

import (
	"context"
	"fmt"

	"larder/authserver/oidc"
	"larder/internal/secret"
)

const maxSecrets = 2 // in force at once, while one replaces the other

// secrets are those of a client as they lie in the database, the newest first:
// hashes, and sealed values of the same order where the client signs with them.
type secrets struct{ hashes, sealed [][]byte }

func secretsOf(c *oidc.Client) secrets { return secrets{c.SecretHashes, c.SealedSecrets} }

// usesSecret reports whether a client of metadata m has a secret, and signs
// whether we must know it to check what the client signed.
func usesSecret(m oidc.Metadata) bool {
	switch m.TokenEndpointAuthMethod {
	case oidc.ClientSecretBasic, oidc.ClientSecretPost, oidc.ClientSecretJWT:
		return true
	}
	return false
}

func signs(m oidc.Metadata) bool { return m.TokenEndpointAuthMethod == oidc.ClientSecretJWT }

func sealedPlace(clientID string) string { return "auth.clients/secret/" + clientID }

// needed gives a client of metadata m what it needs beside the secrets that it
// has: a new one if it has none, or none that can be read again where it must.
// What it needs no more goes.
func (s *Clients) needed(ctx context.Context, clientID string, m oidc.Metadata, has secrets) (secret.String, secrets, error) {
	switch {
	case !usesSecret(m):
		return "", secrets{hashes: [][]byte{}, sealed: [][]byte{}}, nil
	case !signs(m) && len(has.hashes) > 0:
		return "", secrets{hashes: has.hashes, sealed: [][]byte{}}, nil
	case signs(m) && len(has.sealed) > 0:
		return "", has, nil
	}
	value := secret.New()
	made, err := s.before(ctx, clientID, m, value, secrets{})
	return value, made, err
}

// before puts a secret before the newest one that there is.
func (s *Clients) before(ctx context.Context, clientID string, m oidc.Metadata, value secret.String, has secrets) (secrets, error) {
	put := func(first []byte, rest [][]byte) [][]byte {
		return append([][]byte{first}, rest[:min(len(rest), maxSecrets-1)]...)
	}
	made := secrets{hashes: put(secret.Sum(value.Reveal()), has.hashes), sealed: [][]byte{}}
	if !signs(m) {
		return made, nil
	}
	ring, err := s.Keyring(ctx)
	if err != nil {
		return secrets{}, err
	}
	made.sealed = put(ring.Seal(sealedPlace(clientID), []byte(value.Reveal())), has.sealed)
	return made, nil
}

// newest leaves the newest secret only.
func (s secrets) newest() secrets {
	return secrets{hashes: s.hashes[:min(len(s.hashes), 1)], sealed: s.sealed[:min(len(s.sealed), 1)]}
}

// Secrets returns the secrets of a client that signs with them; other clients
// have none that could be told.
func (s *Clients) Secrets(ctx context.Context, c *oidc.Client) ([]secret.String, error) {
	if len(c.SealedSecrets) == 0 {
		return nil, nil
	}
	ring, err := s.Keyring(ctx)
	if err != nil {
		return nil, err
	}
	values := make([]secret.String, 0, len(c.SealedSecrets))
	for _, box := range c.SealedSecrets {
		value, err := ring.Open(sealedPlace(c.ID), box)
		if err != nil {
			return nil, fmt.Errorf("a secret of client %s: %w", c.ID, err)
		}
		values = append(values, secret.String(value))
	}
	return values, nil
}
