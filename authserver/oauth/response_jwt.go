package oauth

import (
	"context"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"larder/authserver/oidc"
)

// keyManagementAlgs are the algorithms that keys of encrypted ID tokens and
// userinfo answers may be wrapped by (RFC 7518 §4).
func keyManagementAlgs() []string {
	return []string{string(jose.RSA_OAEP_256), string(jose.ECDH_ES), string(jose.ECDH_ES_A256KW)}
}

// contentAlgs are those that the content may be encrypted by (RFC 7518 §5).
func contentAlgs() []string {
	return []string{string(jose.A128CBC_HS256), string(jose.A128GCM), string(jose.A256GCM)}
}

// protection says how an answer to a client is to be made a JWT, as it has
// registered (OpenID Connect Registration §2).
type protection struct {
	signed    string // JWS algorithm, "" for none
	encrypted string // JWE algorithm of the key, "" for none
	content   string // JWE algorithm of the content, "" for the default
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
		signed, err := p.Keys.Sign(ctx, how.signed, idTokenType, payload)
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
		how.content = string(jose.A128CBC_HS256) // OpenID Connect Registration §2
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
