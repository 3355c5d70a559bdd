package oauth

import (
	"context"
	"time"

	"github.com/ory/fosite"
	fositeoauth2 "github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"

	"larder/authserver/oidc"
	"larder/internal/id"
)

// work is what one protocol request does. It travels in the context through
// fosite, whose handlers ask the storage for the same things several times and
// write them in several pieces: here each is fetched once, and what is to be
// written is collected, for one command at the end.
type work struct {
	// at is when the request came. What it issues is issued as of then, so that
	// whatever is ended while it runs takes what it gives along: see revocation.Entry.
	at        time.Time
	grantType string
	client    *oidc.Client
	resources []string                   // asked for in this request (RFC 8707)
	details   []oidc.AuthorizationDetail // of the code or token that is made, nil for no limit (RFC 9396)
	jkt       string                     // thumbprint of the key that the request proves, "" without a proof (RFC 9449)
	x5t       string                     // thumbprint of the certificate that its tokens are bound to, "" for none (RFC 8705 §3)

	code     *authorizationCode // being made, or redeemed
	codeHash []byte
	salt     []byte    // of the first refresh token of a new grant
	rotated  *rotation // of a refresh
	replayed id.ID     // the grant whose code came again
	failure  error     // of a store, which fosite would fold into an answer of its own
}

type workKey struct{}

func withWork(ctx context.Context, w *work) context.Context {
	return context.WithValue(ctx, workKey{}, w)
}

// workFrom is called below withWork only.
func workFrom(ctx context.Context) *work {
	w, _ := ctx.Value(workKey{}).(*work)
	return w
}

func (w *work) fositeClient() fosite.Client { return engineClient{w.client} }

// explain turns fosite's error into ours; a store's own failure comes first.
func (w *work) explain(err error) error {
	if w.failure != nil {
		return w.failure
	}
	return asOAuthError(err)
}

// workStorage serves fosite's storage interfaces from the unit of work.
type workStorage struct{ p *Provider }

var (
	_ fosite.Storage                      = (*workStorage)(nil)
	_ fositeoauth2.CoreStorage            = (*workStorage)(nil)
	_ fositeoauth2.TokenRevocationStorage = (*workStorage)(nil)
	_ pkce.PKCERequestStorage             = (*workStorage)(nil)
)

func (s *workStorage) GetClient(ctx context.Context, _ string) (fosite.Client, error) {
	return workFrom(ctx).fositeClient(), nil
}

// Client assertions are checked in client_assertion.go.
func (s *workStorage) ClientAssertionJWTValid(context.Context, string) error { return errNotUsed }

func (s *workStorage) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return errNotUsed
}

// CreateAuthorizeCodeSession takes the request down for the code that was just
// made; authorize.go writes it, with the challenge, in one command.
func (s *workStorage) CreateAuthorizeCodeSession(ctx context.Context, signature string, request fosite.Requester) error {
	w := workFrom(ctx)
	login, _ := request.GetSession().(*session)
	grantID, err := id.Parse(request.GetID())
	if err != nil {
		return err
	}
	w.codeHash = []byte(signature)
	w.code = &authorizationCode{
		GrantID: grantID, ClientID: w.client.ID, Subject: login.subject, SID: login.sid,
		RedirectURI: request.GetRequestForm().Get("redirect_uri"),
		Nonce:       request.GetRequestForm().Get("nonce"),
		JKT:         request.GetRequestForm().Get("dpop_jkt"),
		Scopes:      request.GetGrantedScopes(), Resources: request.GetGrantedAudience(), Details: w.details,
		Login:    grantSession{AuthTime: login.authTime, ACR: login.acr, AMR: login.amr, Risk: login.risk, Claims: login.claims},
		IssuedAt: w.at, ExpiresAt: w.at.Add(s.p.codeLifespan(w.client)),
	}
	return nil
}

func (s *workStorage) CreatePKCERequestSession(ctx context.Context, _ string, request fosite.Requester) error {
	workFrom(ctx).code.Challenge = request.GetRequestForm().Get("code_challenge")
	return nil
}

// GetAuthorizeCodeSession consumes the code when it is asked the first time and
// remembers it for the second.
func (s *workStorage) GetAuthorizeCodeSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	w := workFrom(ctx)
	if w.code != nil {
		return w.code.requester(w), nil
	}
	w.codeHash = []byte(signature)
	code, spent, err := s.p.codes.consume(ctx, w.codeHash, w.client.ID)
	switch {
	case err != nil:
		w.failure = err
		return nil, err
	case code == nil:
		return nil, fosite.ErrNotFound
	case spent:
		return code.requester(w), fosite.ErrInvalidatedAuthorizeCode
	}
	w.code = code
	return code.requester(w), nil
}

// InvalidateAuthorizeCodeSession has nothing left to do: the code went when it
// was read, atomically.
func (s *workStorage) InvalidateAuthorizeCodeSession(context.Context, string) error { return nil }

// GetPKCERequestSession tells fosite of the challenge that lies with the code.
func (s *workStorage) GetPKCERequestSession(ctx context.Context, _ string, _ fosite.Session) (fosite.Requester, error) {
	w := workFrom(ctx)
	if w.code == nil || w.code.Challenge == "" {
		return nil, fosite.ErrNotFound
	}
	return w.code.requester(w), nil
}

// DeletePKCERequestSession does nothing. fosite calls it before it compares, so
// that a wrong verifier would take the challenge away from the next attempt.
func (s *workStorage) DeletePKCERequestSession(context.Context, string) error { return nil }

// Access tokens are verified by their signature and stored nowhere.
func (s *workStorage) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return nil
}

func (s *workStorage) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errNotUsed
}
func (s *workStorage) DeleteAccessTokenSession(context.Context, string) error { return errNotUsed }

// The salt of a first refresh token is in the unit of work already; the grant
// is written with it when fosite is done.
func (s *workStorage) CreateRefreshTokenSession(context.Context, string, string, fosite.Requester) error {
	return nil
}

func (s *workStorage) GetRefreshTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, errNotUsed
}
func (s *workStorage) DeleteRefreshTokenSession(context.Context, string) error { return errNotUsed }

func (s *workStorage) RotateRefreshToken(context.Context, string, string) error { return errNotUsed }

// RevokeAccessToken is called when a code is replayed, and RevokeRefreshToken
// right after it ends the grant with its access tokens.
func (s *workStorage) RevokeAccessToken(context.Context, string) error { return nil }

// RevokeRefreshToken ends the grant of a replayed code. fosite answers
// invalid_grant even when this fails; the failure is kept, for a 503.
func (s *workStorage) RevokeRefreshToken(ctx context.Context, grantID string) error {
	w := workFrom(ctx)
	parsed, err := id.Parse(grantID)
	if err == nil {
		err = s.p.grants.replayed(ctx, parsed)
	}
	w.replayed, w.failure = parsed, err
	return err
}

// narrowed is the part of resources that this request asks for, all of them
// when it names none. Whether it may is checked by its grant.
func (w *work) narrowed(resources []string) []string {
	if len(w.resources) > 0 {
		return w.resources
	}
	return resources
}
