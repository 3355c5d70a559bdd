package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/revocation"
	"larder/internal/web"
)

// logoutRequest is a validated request of OpenID Connect RP-Initiated Logout
// 1.0 §2.
type logoutRequest struct {
	hint      *logoutHint  // nil without an id_token_hint that we can vouch for
	client    *oidc.Client // nil when the request names none
	returnURI string       // registered by client, state already in it; "" for none
	state     string

	registeredURI string // returnURI as it was asked for and registered
	confirmed     bool   // the button of our own confirmation page was pressed
}

// logoutHint is what an ID token of ours says, be it expired.
type logoutHint struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	SID      string   `json:"sid"`
	Audience audience `json:"aud"`
	Expires  int64    `json:"exp"` // every ID token has it, and no other JWT of ours of this typ
}

func (p *Provider) mountLogout(rt *web.Router) {
	pages := rt.With(p.Pages.Error)
	pages.Handle(http.MethodGet, "/logout", p.handleEndSession)
	pages.Handle(http.MethodPost, "/logout", p.handleEndSession)
}

// handleEndSession answers GET and POST /logout. Which session ends, and whether
// the person is asked first, is decided by logoutRequest.decide.
func (p *Provider) handleEndSession(w http.ResponseWriter, r *http.Request) error {
	req, err := p.parseLogout(w, r)
	if err != nil {
		return err
	}
	login, err := p.Sessions.Current(r)
	if err != nil {
		return err
	}
	ending, ask := req.decide(login, sameOrigin(r))
	if ask {
		p.Pages.ConfirmLogout(w, r, req.clientName(), req.hidden())
		return nil
	}
	page := oidc.LoggedOut{ClientName: req.clientName(), ReturnURI: req.returnURI, Onward: req.returnURI != "" && (req.hint != nil || req.confirmed)}
	if ending != nil {
		if page.Frames, err = p.endSession(r, ending, req); err != nil {
			return err
		}
	}
	if login != nil {
		if err := p.Sessions.End(r.Context(), w, r); err != nil {
			return err
		}
	}
	if !page.Onward || len(page.Frames) > 0 {
		p.Pages.LoggedOut(w, r, page)
		return nil
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, req.returnURI, http.StatusSeeOther)
	return nil
}

// decide says which session ends, nil for none, and whether the person is
// asked before anything happens. What counts is whether the request proves that
// it comes from a relying party of the person who is signed in here:
//
//	confirmed on our own page     the browser's session ends
//	hint of the browser's session it ends
//	hint, nobody signed in        the hint's session ends: a relying party's
//	                              POST comes without our cookie (SameSite=Lax)
//	nobody signed in              nothing to end
//	anything else                 ask
func (req *logoutRequest) decide(login *oidc.Login, sameOrigin bool) (ending *oidc.Login, ask bool) {
	switch {
	case req.confirmed:
		return login, false
	case req.hint != nil && (login == nil || req.hint.names(login)):
		return &oidc.Login{Subject: req.hint.subject(), SID: req.hint.SID}, false
	case login == nil && req.hint == nil && sameOrigin:
		return nil, false
	}
	return nil, true
}

// names reports whether the ID token was issued in this session. One without
// sid matches by its person.
func (h *logoutHint) names(login *oidc.Login) bool {
	return h.Subject == login.Subject.String() && (h.SID == "" || h.SID == login.SID)
}

func (h *logoutHint) subject() id.ID {
	subject, _ := id.Parse(h.Subject) // ours, so it parses; else it is nobody
	return subject
}

func (p *Provider) parseLogout(w http.ResponseWriter, r *http.Request) (*logoutRequest, error) {
	f, err := readLogoutForm(w, r)
	if err != nil {
		return nil, err
	}
	req := &logoutRequest{state: f.get("state")}
	if r.Method == http.MethodPost && f.get("action") == "logout" {
		if !sameOrigin(r) {
			return nil, fault.New(fault.Forbidden, "This button was not pressed on our own page.")
		}
		req.confirmed = true
	}
	if raw := f.get("id_token_hint"); raw != "" {
		if req.hint, err = p.verifyHint(raw); err != nil {
			return nil, err
		}
	}
	if req.client, err = p.logoutClient(r.Context(), req.hint, f.get("client_id")); err != nil {
		return nil, err
	}
	if err := p.unveil(req.hint, req.client); err != nil {
		return nil, err
	}
	return req, req.takeReturnURI(f.get("post_logout_redirect_uri"))
}

// unveil puts the person in the place of a pairwise subject.
func (p *Provider) unveil(hint *logoutHint, client *oidc.Client) error {
	if hint == nil || client == nil || !client.Pairwise() {
		return nil
	}
	person, err := p.personOf(client, hint.Subject)
	if err != nil {
		return fault.Wrap(fault.Invalid, "The application sent an ID token that is not valid.", err)
	}
	hint.Subject = person.String()
	return nil
}

// readLogoutForm reads the query of a GET or the form of a POST (§2), each
// parameter at most once.
func readLogoutForm(w http.ResponseWriter, r *http.Request) (form, error) {
	f, err := readAuthorizeForm(w, r)
	if err == nil && f.repeated != "" {
		err = repeatedParameter(f.repeated)
	}
	if refusal, ok := errors.AsType[*oauthError](err); ok {
		return form{}, fault.Wrap(fault.Invalid, refusal.description, err) // read by a person, on a page
	}
	return f, err
}

// logoutClient finds the client that asks: the audience of the hint, or the
// client_id, which must agree when both are there (§2). A client that was
// deleted since the hint was issued is none.
func (p *Provider) logoutClient(ctx context.Context, hint *logoutHint, clientID string) (*oidc.Client, error) {
	named := clientID
	if hint != nil {
		if clientID != "" && !slices.Contains(hint.Audience, clientID) {
			return nil, fault.New(fault.Invalid, "The ID token was issued to another application.")
		}
		if clientID == "" && len(hint.Audience) == 1 {
			named = hint.Audience[0]
		}
	}
	if named == "" {
		return nil, nil //nolint:nilnil // a request need not name a client
	}
	client, err := p.Clients.Client(ctx, named)
	if fault.Is(err, fault.NotFound) {
		if clientID == "" {
			return nil, nil //nolint:nilnil // see above
		}
		return nil, fault.New(fault.Invalid, "The application is not known here.")
	}
	return client, err
}

// takeReturnURI accepts post_logout_redirect_uri only as the client registered
// it (§3.1), by the rule for redirect URIs: an app that listens on any loopback
// port for sign-in comes back to the same port from sign-out. Without a client there is nothing to compare it
// with, and it is left aside.
func (req *logoutRequest) takeReturnURI(uri string) error {
	if uri == "" || req.client == nil {
		return nil
	}
	if !matchRedirectURI(uri, req.client.Metadata.PostLogoutRedirectURIs) {
		return fault.New(fault.Invalid, "The application asked to return to an address that it has not registered.")
	}
	req.registeredURI = uri
	req.returnURI = uri
	if req.state != "" {
		separator := "?"
		if strings.Contains(uri, "?") {
			separator = "&"
		}
		req.returnURI += separator + "state=" + url.QueryEscape(req.state)
	}
	return nil
}

func (req *logoutRequest) clientName() string {
	if req.client == nil {
		return ""
	}
	return req.client.Metadata.ClientName
}

// hidden is what the confirmation page sends back: everything checked, and not
// the hint, which did not decide.
func (req *logoutRequest) hidden() map[string]string {
	fields := map[string]string{}
	if req.client != nil {
		fields["client_id"] = req.client.ID
	}
	if req.registeredURI != "" {
		fields["post_logout_redirect_uri"] = req.registeredURI
	}
	if req.state != "" {
		fields["state"] = req.state
	}
	return fields
}

// verifyHint reads an ID token of ours; an expired one will do (§4). A forged
// one is refused. One that names a key we do not publish may be ours from
// before a rotation: it proves nothing and is left aside, so that its holder is
// asked instead of stranded.
func (p *Provider) verifyHint(raw string) (*logoutHint, error) {
	payload, _, err := p.Keys.Verify(raw, idTokenType)
	if err != nil {
		if p.keyIsUnknown(raw) {
			return nil, nil //nolint:nilnil // no hint that counts
		}
		return nil, fault.Wrap(fault.Invalid, "The application sent an ID token that is not valid.", err)
	}
	var hint logoutHint
	if err := json.Unmarshal(payload, &hint); err != nil || hint.Issuer != p.Config.Issuer || hint.Expires == 0 {
		return nil, fault.Wrap(fault.Invalid, "The application sent an ID token that is not from here.", err)
	}
	return &hint, nil
}

// keyIsUnknown reports whether a token is well formed, signed as we sign and
// names a key that is not among those we publish.
func (p *Provider) keyIsUnknown(raw string) bool {
	algs := make([]jose.SignatureAlgorithm, 0, 3)
	for _, alg := range p.Keys.Algorithms() {
		algs = append(algs, jose.SignatureAlgorithm(alg))
	}
	token, err := jose.ParseSignedCompact(raw, algs)
	if err != nil {
		return false
	}
	var published jose.JSONWebKeySet
	if json.Unmarshal(p.Keys.JWKS(), &published) != nil {
		return false
	}
	kid := token.Signatures[0].Header.KeyID
	return kid != "" && len(published.Key(kid)) == 0
}

// sameOrigin reports whether a browser says that a page of ours sent this
// request. Only the confirmation is guarded so: a relying party's own POST is
// cross-site by nature.
func sameOrigin(r *http.Request) bool {
	return new(http.CrossOriginProtection).Check(r) == nil
}

// endSession ends a session everywhere: its grants and access tokens in one
// transaction with the audit event, then the session itself. Trying again
// after a failure half-way completes it. It returns the frames by which clients
// hear of it through this browser.
func (p *Provider) endSession(r *http.Request, ending *oidc.Login, req *logoutRequest) (frames []string, err error) {
	if ending.SID == "" || ending.Subject.IsZero() {
		return nil, nil
	}
	event := p.event(r, "session.ended", audit.Success)
	event.Actor = audit.Person(ending.Subject)
	event.Target, event.Reason = ending.SID, "logout"
	if req.client != nil {
		event.ClientID = req.client.ID
	}
	ctx := r.Context()
	var clients []string
	err = p.revokeAudited(ctx, revocation.Session, ending.SID, event, func(tx pgx.Tx, expires time.Time) (when time.Time, err error) {
		when, clients, err = p.revokeSession(ctx, tx, ending.SID, "logout", expires)
		return when, err
	})
	if err != nil {
		return nil, err
	}
	if err := p.Sessions.EndSID(ctx, ending.SID); err != nil {
		return nil, err
	}
	return p.logoutFrames(ctx, clients, ending.SID)
}
