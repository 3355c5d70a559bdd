package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
)

// parked is an authorization request that waited for the person. The zero value
// is one that has just come.
type parked struct {
	flowID      string
	requestedAt time.Time
	approvedSID string // the browser session in which consent was given
	denied      bool
}

// handleAuthorize answers GET /authorize.
func (p *Provider) handleAuthorize(w http.ResponseWriter, r *http.Request) error {
	f, err := readAuthorizeForm(w, r)
	if err != nil {
		return err
	}
	return p.authorize(w, r, f)
}

// authorize begins with a request that has just come.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request, f form) error {
	f, err := p.takePushed(r.Context(), f)
	if err != nil {
		return err
	}
	if f, err = p.openRequest(r.Context(), r, f); err != nil {
		return err
	}
	a, err := p.readAuthorization(r.Context(), f)
	if err != nil {
		return err
	}
	return p.decide(w, r, a, parked{})
}

// handleContinue answers GET /authorize/continue?flow=ID, where the pages send
// the browser back to. The request is validated again: meanwhile the client may
// have changed.
func (p *Provider) handleContinue(w http.ResponseWriter, r *http.Request) error {
	flowID := r.URL.Query().Get("flow")
	req, approvedSID, denied, err := p.Flows.Resume(r.Context(), r, flowID)
	if err != nil {
		return err
	}
	if req.UserCode != "" {
		return p.continueDevice(w, r, flowID)
	}
	a, err := p.readAuthorization(r.Context(), parkedForm(req.Form, req.Signed))
	if err != nil {
		return err
	}
	return p.decide(w, r, a, parked{flowID: flowID, requestedAt: req.RequestedAt, approvedSID: approvedSID, denied: denied})
}

// decide takes the request one step further.
func (p *Provider) decide(w http.ResponseWriter, r *http.Request, a *authorization, state parked) error {
	if state.denied {
		if err := p.spendPushed(r.Context(), a.form); err != nil {
			return err
		}
		return p.finish(r.Context(), state, a.refuse(accessDenied, "The person did not agree."))
	}
	login, err := p.Sessions.Current(r)
	if err != nil {
		return err
	}
	step, err := p.next(r.Context(), a, login, state)
	if refusal, ok := errors.AsType[*redirectError](err); ok {
		return p.finish(r.Context(), state, refusal)
	}
	if err != nil {
		return err
	}
	if step != oidc.StepDone {
		return p.wait(w, r, a, state, pageOf(step, a))
	}
	if err := p.finish(r.Context(), state, nil); err != nil {
		return err
	}
	if err := p.spendPushed(r.Context(), a.form); err != nil {
		return err
	}
	parameters, err := p.respondWith(r, a, login)
	if err != nil {
		return err
	}
	p.addSessionState(w, r, a, parameters)
	return p.respondTo(w, r, a.target, parameters)
}

// next says what the request waits for. With prompt=none it may wait for
// nothing, and the client is told what would have been needed.
func (p *Provider) next(ctx context.Context, a *authorization, login *oidc.Login, state parked) (oidc.Step, error) {
	silent := a.hasPrompt("none")
	right, err := p.isFor(a, login)
	if err != nil {
		return 0, err
	}
	if p.needsLogin(a, login, state, right) {
		if silent {
			return 0, a.refuse(loginRequired, "The person has to sign in.")
		}
		return oidc.StepLogin, nil
	}
	if !right {
		return 0, a.refuse(loginRequired, "Somebody else is signed in than the request is for.")
	}
	owes, err := p.owesFactor(ctx, a, login)
	switch {
	case err != nil:
		return 0, err
	case owes && silent:
		return 0, a.refuse(loginRequired, "The person has to show a second factor.")
	case owes:
		return oidc.StepFactor, nil
	}
	agreed, err := p.hasConsent(ctx, a, login, state)
	switch {
	case err != nil:
		return 0, err
	case agreed:
		return oidc.StepDone, nil
	case silent:
		return 0, a.refuse(consentRequired, "The person has to agree.")
	}
	return oidc.StepConsent, nil
}

// needsLogin reports whether the person must prove who they are (again). A
// sign-in since the request came satisfies every demand, or max_age=0 would
// never end; times are compared by the second, as auth_time tells them.
// right says that the person who is signed in is the one that the request is for.
func (p *Provider) needsLogin(a *authorization, login *oidc.Login, state parked, right bool) bool {
	if login == nil {
		return true
	}
	if state.flowID != "" && !login.AuthTime.Before(state.requestedAt.Truncate(time.Second)) {
		return false
	}
	switch {
	case a.hasPrompt("login"), a.hasPrompt("select_account"), a.hasPrompt("create"):
		return true
	case a.maxAge != nil && p.Now().Sub(login.AuthTime) > *a.maxAge, a.maxAge != nil && *a.maxAge == 0:
		return true
	}
	return !right && !a.hasPrompt("none")
}

// owesFactor reports whether a password is not enough: for a client that says
// so, and for an operator who is about to get the admin scope.
func (p *Provider) owesFactor(ctx context.Context, a *authorization, login *oidc.Login) (bool, error) {
	if login.ACR == oidc.ACRMFA {
		return false, nil
	}
	if a.wantsFactor() {
		return true, nil
	}
	if !slices.Contains(a.scopes, oidc.ScopeAdmin) {
		return false, nil
	}
	user, err := p.Users.User(ctx, login.Subject)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && user.Operator, err
}

// hasConsent reports whether the person agrees: just now in this flow and this
// session, or earlier, or because the client belongs to the operator. To
// authorization details they agree each time: what one list may be used for
// says nothing about the next.
func (p *Provider) hasConsent(ctx context.Context, a *authorization, login *oidc.Login, state parked) (bool, error) {
	switch {
	case state.approvedSID != "" && state.approvedSID == login.SID:
		return true, nil
	case a.hasPrompt("consent"):
		return false, nil
	case a.client.Metadata.FirstParty:
		return true, nil
	case a.details != nil:
		return false, nil
	}
	return p.Consents.Covered(ctx, login.Subject, a.client.ID, a.consentScopes(), a.resources)
}

// wait parks the request, if it is not parked yet, and sends the browser to the
// page that takes it further.
func (p *Provider) wait(w http.ResponseWriter, r *http.Request, a *authorization, state parked, page string) error {
	if state.flowID == "" {
		flowID, err := p.Flows.Begin(r.Context(), w, r, oidc.AuthRequest{
			ClientID:    a.client.ID,
			Form:        a.form.parkable(),
			Signed:      a.form.signed,
			Scopes:      a.consentScopes(),
			Resources:   a.resources,
			Details:     a.details,
			Prompt:      a.prompt,
			MaxAge:      a.maxAge,
			ACRValues:   a.acrValues,
			LoginHint:   a.form.get("login_hint"),
			UILocales:   strings.Fields(a.form.get("ui_locales")),
			RequestedAt: p.Now(),
		})
		if err != nil {
			return err
		}
		state.flowID = flowID
	}
	noStore(w.Header())
	w.Header().Set("Location", page+"?"+url.Values{"flow": {state.flowID}}.Encode())
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// pageOf is the page that takes a request through a step.
func pageOf(step oidc.Step, a *authorization) string {
	switch {
	case step == oidc.StepFactor:
		return "/login/mfa"
	case step == oidc.StepConsent:
		return "/consent"
	case a.hasPrompt("create"):
		return "/register"
	}
	return "/login"
}

// finish ends a parked request and then answers with err. Of two browsers'
// windows that come back at once only one goes on.
func (p *Provider) finish(ctx context.Context, state parked, answer error) error {
	if state.flowID == "" {
		return answer
	}
	first, err := p.Flows.Finish(ctx, state.flowID)
	switch {
	case err != nil:
		return err
	case !first:
		return fault.New(fault.Conflict, "This sign-in has been finished already, perhaps in another window.")
	}
	return answer
}

func (a *authorization) refuse(code, description string) error {
	return &redirectError{target: a.target, oauthError: newError(code, description)}
}

// issueCode makes the code for what the person agreed to, by one command in
// Redis.
func (p *Provider) issueCode(ctx context.Context, a *authorization, login *oidc.Login) (string, error) {
	w := &work{at: a.at, client: a.client, details: a.details}
	ctx = withWork(ctx, w)
	a.requester.SetID(id.New().String())
	for _, scope := range a.scopes {
		a.requester.GrantScope(scope)
	}
	for _, resource := range a.resources {
		a.requester.GrantAudience(resource)
	}
	made, err := p.engine.NewAuthorizeResponse(ctx, a.requester, &session{
		subject: login.Subject, sid: login.SID, authTime: login.AuthTime, acr: login.ACR, amr: slices.Clone(login.AMR), risk: login.Risk.Level(), claims: a.claims.names,
	})
	if err != nil {
		return "", w.explain(err)
	}
	return made.GetCode(), p.codes.put(ctx, w.codeHash, w.code, p.codeLifespan(a.client))
}
