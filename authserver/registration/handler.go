package registration

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/limit"
	"larder/internal/secret"
	"larder/internal/web"
)

const path = "/connect/register"

// Policy is what an operator decides. Its zero value lets nobody register.
type Policy struct {
	Open         bool // whoever asks may register; for development
	InitialToken bool // who brings an initial access token may
	// WithoutPKCE lets confidential clients that register themselves do without
	// a code_challenge, as old relying parties do.
	WithoutPKCE bool
}

// Off reports whether nobody may register.
func (p Policy) Off() bool { return !p.Open && !p.InitialToken }

// Register keeps the clients.
type Register interface {
	Register(ctx context.Context, m oidc.Metadata, initial string, by audit.Actor) (c *oidc.Client, clientSecret, accessToken secret.String, err error)
	Registered(ctx context.Context, clientID, accessToken string) (*oidc.Client, error)
	Update(ctx context.Context, clientID string, version int64, m oidc.Metadata, by audit.Actor) (*oidc.Client, secret.String, error)
	SetDisabled(ctx context.Context, clientID string, disabled bool, by audit.Actor) (*oidc.Client, error)
}

// Limiter counts registrations.
type Limiter interface {
	Take(ctx context.Context, bucket string, rates ...limit.Rate) error
}

// Handler serves the client registration endpoint and what lies below it.
type Handler struct {
	Clients         Register
	Policy          Policy
	Issuer          string
	ResourceServers []oidc.ResourceServer
	Limiter         Limiter
	// Source names where a request comes from, see limit.Source.
	Source func(r *http.Request) string
}

// Mount adds the endpoints, unless nobody may register.
func (h *Handler) Mount(rt *web.Router) {
	if h.Policy.Off() {
		return
	}
	api := rt.With(writeError)
	api.Handle(http.MethodPost, path, h.register)
	api.Handle(http.MethodGet, path+"/{id}", h.show)
	api.Handle(http.MethodPut, path+"/{id}", h.replace)
	api.Handle(http.MethodDelete, path+"/{id}", h.remove)
}

// rate bounds the registrations of one network: a test suite of the field makes
// some dozens in a minute.
func rate() limit.Rate { return limit.Rate{Burst: 300, Every: 2 * time.Second} }

// response is the client information response (RFC 7591 §3.2.1). Secrets lie
// hashed, so that only the answer which makes one has it.
type response struct {
	ClientID        string `json:"client_id"`
	IssuedAt        int64  `json:"client_id_issued_at"`
	ClientSecret    string `json:"client_secret,omitempty"`
	SecretExpiresAt *int64 `json:"client_secret_expires_at,omitempty"` // 0: never; there whenever a secret is
	AccessToken     string `json:"registration_access_token"`
	ClientURI       string `json:"registration_client_uri"`
	oidc.Metadata
}

func (h *Handler) answer(w http.ResponseWriter, status int, c *oidc.Client, clientSecret secret.String, accessToken string) error {
	body := response{
		ClientID: c.ID, IssuedAt: c.CreatedAt.Unix(), ClientSecret: clientSecret.Reveal(),
		AccessToken: accessToken, ClientURI: h.Issuer + path + "/" + c.ID, Metadata: c.Metadata,
	}
	if clientSecret != "" {
		body.SecretExpiresAt = new(int64)
	}
	noStore(w)
	return web.JSON(w, status, &body)
}

// register answers POST (RFC 7591 §3.1).
func (h *Handler) register(w http.ResponseWriter, r *http.Request) error {
	if err := h.Limiter.Take(r.Context(), "register:"+h.Source(r), rate()); err != nil {
		return err
	}
	initial := bearer(r)
	if initial == "" && !h.Policy.Open {
		return fault.New(fault.Unauthenticated, "Registration needs an initial access token.")
	}
	if !h.Policy.InitialToken {
		initial = "" // whatever it is, it is not needed
	}
	req, err := readRequest(w, r)
	if err != nil {
		return err
	}
	m, err := h.metadata(req)
	if err != nil {
		return err
	}
	c, clientSecret, accessToken, err := h.Clients.Register(r.Context(), m, initial, audit.Actor{Kind: "anonymous"})
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusCreated, c, clientSecret, accessToken.Reveal())
}

// show answers GET (RFC 7592 §2.1).
func (h *Handler) show(w http.ResponseWriter, r *http.Request) error {
	c, err := h.Clients.Registered(r.Context(), web.Var(r, "id"), bearer(r))
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, c, "", bearer(r))
}

// replace answers PUT (RFC 7592 §2.2): what is left out goes back to its
// default.
func (h *Handler) replace(w http.ResponseWriter, r *http.Request) error {
	c, err := h.Clients.Registered(r.Context(), web.Var(r, "id"), bearer(r))
	if err != nil {
		return err
	}
	req, err := readRequest(w, r)
	if err != nil {
		return err
	}
	if err := req.refuseReserved(c); err != nil {
		return err
	}
	m, err := h.metadata(req)
	if err != nil {
		return err
	}
	changed, clientSecret, err := h.Clients.Update(r.Context(), c.ID, c.Version, m, itself(c))
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, changed, clientSecret, bearer(r))
}

// remove answers DELETE (RFC 7592 §2.3). The row is swept later: the other
// replicas learn of a client that is disabled, not of one that is gone.
func (h *Handler) remove(w http.ResponseWriter, r *http.Request) error {
	c, err := h.Clients.Registered(r.Context(), web.Var(r, "id"), bearer(r))
	if err != nil {
		return err
	}
	if _, err := h.Clients.SetDisabled(r.Context(), c.ID, true, itself(c)); err != nil {
		return err
	}
	noStore(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func itself(c *oidc.Client) audit.Actor { return audit.Actor{Kind: "client", ID: c.ID} }

// bearer reads the token of an Authorization header (RFC 6750 §2.1), "" without
// one. The query is no place for it.
func bearer(r *http.Request) string {
	const longest = 256
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > longest {
		return ""
	}
	return token
}

// errorBody is RFC 7591 §3.2.2, and RFC 6750 §3.1 where the token is at fault.
type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	RequestID   string `json:"request_id,omitempty"`
}

func writeError(w http.ResponseWriter, r *http.Request, err error) {
	body := errorBody{Error: "server_error", Description: "The server met an unexpected condition.", RequestID: web.RequestID(r.Context())}
	if shown, ok := web.Shown(err); ok {
		body.Error, body.Description = describe(shown)
		if shown.Kind == fault.Unauthenticated {
			w.Header().Set("WWW-Authenticate", `Bearer realm="larder", error="invalid_token"`)
		}
	}
	web.SetRetryAfter(w, err)
	noStore(w)
	w.Header().Set("Content-Type", "application/json")
	text, _ := json.Marshal(&body) // strings always encode
	w.WriteHeader(web.Status(err))
	_, _ = w.Write(text)
}

// describe says everything that is wrong at once, the redirect URIs by their own
// code.
func describe(e *fault.Error) (code, description string) {
	switch e.Kind {
	case fault.Unauthenticated:
		return "invalid_token", e.Message
	case fault.Unavailable, fault.RateLimited:
		return "temporarily_unavailable", e.Message
	case fault.MethodNotAllowed, fault.NotFound:
		return "invalid_request", e.Message
	default: // the metadata is at fault
	}
	code, parts := "invalid_client_metadata", []string{}
	for _, field := range e.Fields {
		member := strings.TrimPrefix(field.Pointer, "/")
		if member == "redirect_uris" || strings.HasPrefix(member, "redirect_uris/") {
			code = "invalid_redirect_uri"
		}
		parts = append(parts, member+" "+field.Detail)
	}
	if len(parts) == 0 {
		return code, e.Message
	}
	return code, strings.Join(parts, "; ")
}

func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}
