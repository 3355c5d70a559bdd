package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
)

// Verifier checks access tokens.
type Verifier interface {
	VerifyAccessToken(ctx context.Context, token, audience string) (*oidc.AccessToken, error)
}

// UserFinder reads a user fresh.
type UserFinder interface {
	User(ctx context.Context, subject id.ID) (*oidc.User, error)
}

// Clients finds registered clients.
type Clients interface {
	Client(ctx context.Context, clientID string) (*oidc.Client, error)
}

// Gate lets operators in.
type Gate struct {
	Issuer   string // the audience that tokens must have
	Verifier Verifier
	Users    UserFinder
	Clients  Clients
}

// Routes are the paths of rt behind the gate, with errors as problem+json.
type Routes struct {
	rt   *web.Router
	gate *Gate
}

// Routes returns rt behind the gate.
func (g *Gate) Routes(rt *web.Router) Routes { return Routes{rt: rt.With(writeProblem), gate: g} }

// Handle serves one method on one path, for operators.
func (r Routes) Handle(method, path string, h web.Handler) {
	r.rt.Handle(method, path, func(w http.ResponseWriter, req *http.Request) error {
		actor, err := r.gate.admit(req)
		if err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "no-store")
		return h(w, req.WithContext(context.WithValue(req.Context(), actorKey{}, actor)))
	})
}

type actorKey struct{}

// Actor returns who calls, for the audit log.
func Actor(ctx context.Context) audit.Actor {
	actor, _ := ctx.Value(actorKey{}).(audit.Actor)
	return actor
}

// admit returns who calls if they may.
func (g *Gate) admit(r *http.Request) (audit.Actor, error) {
	token, err := bearerToken(r)
	if err != nil {
		return audit.Actor{}, err
	}
	access, err := g.Verifier.VerifyAccessToken(r.Context(), token, g.Issuer)
	if fault.Is(err, fault.Unauthenticated) {
		return audit.Actor{}, challenged(err, `error="invalid_token"`)
	}
	if err != nil {
		return audit.Actor{}, err
	}
	if access.JKT != "" || access.X5T != "" { // RFC 9449 §7.2, RFC 8705 §3
		return audit.Actor{}, challenged(fault.New(fault.Unauthenticated, "The token is bound to its sender; the admin API takes Bearer tokens only."),
			`error="invalid_token"`)
	}
	if !slices.Contains(access.Scopes, oidc.ScopeAdmin) {
		return audit.Actor{}, challenged(fault.New(fault.Forbidden, "The token does not have the scope admin."),
			`error="insufficient_scope", scope="admin"`)
	}
	if access.Subject == access.ClientID {
		return g.admitClient(r.Context(), access.ClientID)
	}
	return g.admitUser(r.Context(), access)
}

func (g *Gate) admitClient(ctx context.Context, clientID string) (audit.Actor, error) {
	client, err := g.Clients.Client(ctx, clientID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return audit.Actor{}, err
	}
	if client == nil || !slices.Contains(oidc.SplitScope(client.Metadata.Scope), oidc.ScopeAdmin) {
		return audit.Actor{}, notAnOperator()
	}
	return audit.Actor{Kind: "client", ID: clientID}, nil
}

// admitUser lets an operator in who showed a second factor. Whoever is no
// operator hears that first: a second factor would not help.
func (g *Gate) admitUser(ctx context.Context, access *oidc.AccessToken) (audit.Actor, error) {
	sub, err := id.Parse(access.Subject)
	if err != nil {
		return audit.Actor{}, notAnOperator()
	}
	user, err := g.Users.User(ctx, sub)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return audit.Actor{}, err
	}
	if user == nil || !user.Operator || user.Disabled {
		return audit.Actor{}, notAnOperator()
	}
	if access.ACR != oidc.ACRMFA {
		return audit.Actor{}, challenged(
			fault.New(fault.Unauthenticated, "The admin API takes a sign-in with a second factor.").WithCode("insufficient_user_authentication"),
			`error="insufficient_user_authentication", acr_values="`+oidc.ACRMFA+`"`) // RFC 9470 §3
	}
	return audit.Actor{Kind: "operator", ID: access.Subject}, nil
}

func notAnOperator() error {
	return fault.New(fault.Forbidden, "Only operators may do this.").WithCode("not_an_operator")
}

// bearerToken reads the one place where a token may stand (RFC 6750 §2.1).
func bearerToken(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", challenged(fault.New(fault.Unauthenticated, "An access token is needed."), "")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " ,") {
		return "", challenged(fault.New(fault.Invalid, "The Authorization header must be one Bearer token."), `error="invalid_request"`)
	}
	return token, nil
}

// challenge is an error that is answered with WWW-Authenticate.
type challenge struct {
	error
	params string
}

func (c *challenge) Unwrap() error { return c.error }

func challenged(err error, params string) error { return &challenge{err, params} }

func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	if c, ok := errors.AsType[*challenge](err); ok {
		value := `Bearer realm="admin"`
		if c.params != "" {
			value += ", " + c.params
		}
		w.Header().Set("WWW-Authenticate", value)
	}
	web.Problem(w, r, err)
}
