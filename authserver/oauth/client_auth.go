package oauth

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/mtls"
	"larder/internal/secret"
)

// credentials are what a client shows of itself, in the one way that it chose.
type credentials struct {
	method    string
	clientID  string
	secret    string
	assertion string
	path      string              // of the endpoint that is called
	chain     []*x509.Certificate // that the request came with; a client of another method may show one as well
}

// authenticateClient finds out which client calls (RFC 6749 §2.3). A client
// may use only the method that it is registered for, and one at a time. Any
// refusal is invalid_client; what exactly was wrong goes to the log. A client
// without a credential is identified by client_id alone.
func (p *Provider) authenticateClient(ctx context.Context, r *http.Request, f form) (*oidc.Client, error) {
	shown, err := readCredentials(r, f)
	if err != nil {
		return nil, err
	}
	client, err := p.Clients.Client(ctx, shown.clientID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	shown.chain = mtls.From(ctx)
	if shown.method == oidc.AuthMethodNone && client != nil && client.AuthenticatesByCertificate() {
		shown.method = client.Metadata.TokenEndpointAuthMethod // nothing in the request tells it from none
	}
	if err := p.checkCredentials(ctx, client, shown); err != nil {
		if fault.Is(err, fault.Unavailable) {
			return nil, err
		}
		p.auditClientFailure(r, shown, err)
		return nil, newError(invalidClient, "Client authentication failed.").because(err)
	}
	return client, nil
}

// checkCredentials compares a secret even when there is no such client, so that
// the answer takes as long.
func (p *Provider) checkCredentials(ctx context.Context, client *oidc.Client, shown credentials) error {
	known := client != nil
	if !known {
		client = &oidc.Client{Metadata: oidc.Metadata{TokenEndpointAuthMethod: shown.method}}
	}
	if client.Metadata.TokenEndpointAuthMethod != shown.method {
		return errors.New("the client is not registered for " + shown.method)
	}
	switch shown.method {
	case oidc.ClientSecretBasic, oidc.ClientSecretPost:
		matched := false
		for _, sum := range secretSums(client) {
			matched = secret.Matches(shown.secret, sum) || matched
		}
		if !matched {
			return errors.New("the secret is wrong")
		}
	case oidc.PrivateKeyJWT, oidc.ClientSecretJWT:
		if err := p.checkAssertion(ctx, client, shown); err != nil {
			return err
		}
	case oidc.TLSClientAuth:
		return p.checkCertificate(ctx, client, shown.chain)
	case oidc.SelfSignedTLSClientAuth:
		return p.checkRegisteredCertificate(ctx, client, shown.chain)
	}
	if !known {
		return errors.New("there is no such client")
	}
	return nil
}

func secretSums(client *oidc.Client) [][]byte {
	if len(client.SecretHashes) == 0 {
		return [][]byte{nil} // one comparison, which matches nothing
	}
	return client.SecretHashes
}

// readCredentials finds the one method that the request uses.
func readCredentials(r *http.Request, f form) (credentials, error) {
	var found []credentials
	if headers := r.Header.Values("Authorization"); len(headers) > 0 {
		basic, err := readBasic(headers)
		if err != nil {
			return credentials{}, err
		}
		found = append(found, basic)
	}
	if f.has("client_secret") {
		found = append(found, credentials{method: oidc.ClientSecretPost, clientID: f.get("client_id"), secret: f.get("client_secret")})
	}
	if f.has("client_assertion") || f.has("client_assertion_type") {
		assertion, err := readAssertion(f)
		if err != nil {
			return credentials{}, err
		}
		found = append(found, assertion)
	}
	switch {
	case len(found) > 1:
		return credentials{}, newError(invalidClient, "The request uses more than one way of client authentication.")
	case len(found) == 0:
		found = append(found, credentials{method: oidc.AuthMethodNone, clientID: f.get("client_id")})
	}
	shown := found[0]
	shown.path = r.URL.Path
	if named := f.get("client_id"); named != "" && named != shown.clientID {
		return credentials{}, newError(invalidClient, "The request names two different clients.")
	}
	if shown.clientID == "" {
		return credentials{}, newError(invalidClient, "The request does not say which client makes it.")
	}
	return shown, nil
}

// readBasic reads HTTP Basic, whose two parts are form-encoded first (RFC 6749
// §2.3.1).
func readBasic(headers []string) (credentials, error) {
	malformed := newError(invalidClient, "The Authorization header is malformed.")
	scheme, _, _ := strings.Cut(headers[0], " ")
	if len(headers) != 1 || !strings.EqualFold(scheme, "Basic") {
		return credentials{}, malformed
	}
	user, password, ok := (&http.Request{Header: http.Header{"Authorization": headers}}).BasicAuth()
	if !ok {
		return credentials{}, malformed
	}
	clientID, errID := url.QueryUnescape(user)
	clientSecret, errSecret := url.QueryUnescape(password)
	if errID != nil || errSecret != nil || clientID == "" || !isText(clientID) || !isText(clientSecret) {
		return credentials{}, malformed
	}
	return credentials{method: oidc.ClientSecretBasic, clientID: clientID, secret: clientSecret}, nil
}

func (p *Provider) auditClientFailure(r *http.Request, shown credentials, cause error) {
	const longest = 128
	clientID := shown.clientID
	if len(clientID) > longest {
		clientID = clientID[:longest]
	}
	e := p.event(r, "client.authentication_failed", audit.Failure)
	e.Actor = audit.Actor{Kind: "client", ID: clientID}
	e.ClientID = clientID
	e.Reason = cause.Error()
	p.Audit.Put(e)
}
