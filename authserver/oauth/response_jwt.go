package oauth

import (
	"cmp"
	"context"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
)

// protection says how an answer to a client is to be made a JWT, as it has
// registered (OpenID Connect Registration §2).
type protection struct {
	signed    string // JWS algorithm, "" for none
	encrypted string // JWE algorithm of the key, "" for none
	content   string // JWE algorithm of the content, "" for the default
	typ       string // of the JWS, "" for JWT
}

func idTokenProtection(m *oidc.Metadata) protection {
	p := protection{signed: m.IDTokenSignedAlg, encrypted: m.IDTokenEncryptedAlg, content: m.IDTokenEncryptedEnc}
	if p.signed == "" {
		p.signed = es256
	}
	return p
}

func userinfoProtection(m *oidc.Metadata) protection {
	return protection{signed: m.UserinfoSignedAlg, encrypted: m.UserinfoEncryptedAlg, content: m.UserinfoEncryptedEnc}
}

// protect signs, then encrypts (OpenID Connect Core §16.14).
func (p *Provider) protect(ctx context.Context, client *oidc.Client, how protection, payload []byte) (string, error) {
	content := string(payload)
	if how.signed != "" {
		signed, err := p.Keys.Sign(ctx, how.signed, cmp.Or(how.typ, idTokenType), payload)
		if err != nil {
			return "", err
		}
		content = signed
	}
	if how.encrypted == "" {
		return content, nil
	}
	key := client.Metadata.EncryptionKey(how.encrypted)
	if key == nil {
		return "", fmt.Errorf("oauth: client %s has no key for %s", client.ID, how.encrypted)
	}
	options := &jose.EncrypterOptions{}
	if how.signed != "" {
		options = options.WithType(idTokenType).WithContentType(idTokenType)
	}
	if how.content == "" {
		how.content = oidc.ContentEncryptionAlgs()[0]
	}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(how.content),
		jose.Recipient{Algorithm: jose.KeyAlgorithm(how.encrypted), Key: key.Key, KeyID: key.KeyID}, options)
	if err != nil {
		return "", err
	}
	jwe, err := encrypter.Encrypt([]byte(content))
	if err != nil {
		return "", err
	}
	return jwe.CompactSerialize()
}
