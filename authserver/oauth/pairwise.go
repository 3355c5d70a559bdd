package oauth

import (
	"context"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
)

const (
	pairwisePurpose = "pairwise"
	pairwiseLength  = 22 // characters of 16 bytes in base64url
)

// subjectFor is the sub by which a client knows a person: the id itself or, for
// a client with pairwise subjects (OpenID Connect Core §8.1), the id enciphered
// under a key of the client's sector. It is the same each time, tells nothing
// to whoever has no key, and only we can find the person by it.
//
//	HMAC-SHA256(key, sector) = AES-256 key; sub = base64url(AES(id)), one block
func (p *Provider) subjectFor(client *oidc.Client, person id.ID) (string, error) {
	if !client.Pairwise() {
		return person.String(), nil
	}
	key, err := p.sectorKey(client)
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	sealed := make([]byte, aes.BlockSize)
	block.Encrypt(sealed, person[:])
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// personOf is the reverse of subjectFor. The sub must come from something that
// we have signed: any other one of the right length is somebody, too.
func (p *Provider) personOf(client *oidc.Client, sub string) (id.ID, error) {
	if !client.Pairwise() || len(sub) != pairwiseLength {
		return id.Parse(sub)
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(sub)
	if err != nil || len(sealed) != aes.BlockSize {
		return id.ID{}, errors.New("not a pairwise subject")
	}
	key, err := p.sectorKey(client)
	if err != nil {
		return id.ID{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return id.ID{}, err
	}
	var person id.ID
	block.Decrypt(person[:], sealed)
	return person, nil
}

// sectorKey takes the oldest key there is: should there ever be a second one,
// subjects must not change.
func (p *Provider) sectorKey(client *oidc.Client) ([]byte, error) {
	keys := p.Keys.MACKeys(pairwisePurpose)
	if len(keys) == 0 {
		return nil, fault.New(fault.Unavailable, "The service has not read its keys yet. Please try again.")
	}
	mac := hmac.New(sha256.New, keys[len(keys)-1])
	mac.Write([]byte(client.Metadata.Sector()))
	return mac.Sum(nil), nil
}

// accessSubject is the sub of an access token. One that opens nothing but our
// own userinfo endpoint tells the client no more than its ID token does; an API
// needs to know the person, and would tell the client anyway.
func (p *Provider) accessSubject(client *oidc.Client, person id.ID, resources []string) (string, error) {
	if len(resources) > 0 {
		return person.String(), nil
	}
	return p.subjectFor(client, person)
}

// realSubject turns the sub of one of our own access tokens back into a user's
// id.
func (p *Provider) realSubject(ctx context.Context, c *accessClaims) (string, error) {
	if c.Subject == c.ClientID || len(c.Subject) != pairwiseLength {
		return c.Subject, nil
	}
	client, err := p.Clients.Client(ctx, c.ClientID)
	if fault.Is(err, fault.NotFound) {
		return "", fault.Wrap(fault.Unauthenticated, "The access token is of a client that is gone.", err)
	}
	if err != nil {
		return "", err
	}
	person, err := p.personOf(client, c.Subject)
	if err != nil {
		return "", fault.Wrap(fault.Unauthenticated, "The access token speaks for nobody.", err)
	}
	return person.String(), nil
}
