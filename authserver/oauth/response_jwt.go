package oauth

import (
	"cmp"
	"context"

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
	return protection{signed: signingAlg(m, ""), encrypted: m.IDTokenEncryptedAlg, content: m.IDTokenEncryptedEnc}
}

// An authorization response and an introspection response are always signed
// (JARM §2.2, RFC 9701 §5).

func authorizationProtection(m *oidc.Metadata) protection {
	return protection{
		signed: signingAlg(m, m.AuthorizationAlg), encrypted: m.AuthorizationEncryptedAlg, content: m.AuthorizationEncryptedEnc, typ: signedResponseType,
	}
}

func introspectionProtection(m *oidc.Metadata) protection {
	return protection{
		signed: signingAlg(m, m.IntrospectionAlg), encrypted: m.IntrospectionEncryptedAlg, content: m.IntrospectionEncryptedEnc, typ: introspectionTokenType,
	}
}

// signingAlg is what an answer to the client is signed with: the algorithm that
// it is registered for, else that of its ID tokens.
func signingAlg(m *oidc.Metadata, registered string) string {
	return cmp.Or(registered, m.IDTokenSignedAlg, es256)
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
	key, err := p.encryptionKey(ctx, client, how.encrypted)
	if err != nil {
		return "", err
	}
	options := &jose.EncrypterOptions{}
	if how.signed != "" {
		options = options.WithType(idTokenType).WithContentType(idTokenType)
	}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(cmp.Or(how.content, oidc.ContentEncryptionAlgs()[0])),
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

// encryptionKey is the client's key to encrypt to. A key that is not among the
// published ones that we know may be there since a moment ago. An old one that is
// published no more is used for as long as a copy is good: its owner keeps it at
// hand until then (OpenID Connect Core §10.2.1).
func (p *Provider) encryptionKey(ctx context.Context, client *oidc.Client, alg string) (*jose.JSONWebKey, error) {
	missing := newError(invalidRequest, "The client has no key for "+alg+" among its own, or they cannot be read at its jwks_uri.")
	if registered := client.Metadata.JWKS; registered != nil {
		if key := oidc.EncryptionKey(registered.Keys, alg); key != nil {
			return key, nil
		}
		return nil, missing
	}
	if client.Metadata.JWKSURI == "" {
		return nil, missing
	}
	keys, err := p.PublishedKeys.Keys(ctx, client.Metadata.JWKSURI)
	if err != nil {
		return nil, missing.because(err)
	}
	if key := oidc.EncryptionKey(keys, alg); key != nil {
		return key, nil
	}
	keys, _ = p.PublishedKeys.Renewed(ctx, client.Metadata.JWKSURI)
	if key := oidc.EncryptionKey(keys, alg); key != nil {
		return key, nil
	}
	return nil, missing
}
