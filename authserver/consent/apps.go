package consent

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/web"
)

// An app is connected by a consent, by a grant in force, or by both: the
// operator's own apps ask for no consent. Of a grant with authorization details
// those stand for the scopes that they limit (oidc.BeyondDetails).
const selectApps = `
SELECT client_id, scopes, since,
       (SELECT jsonb_agg(DISTINCT d) FROM auth.grants g, jsonb_array_elements(g.authorization_details) AS d
         WHERE g.user_id = $1 AND g.client_id = apps.client_id AND g.revoked_at IS NULL AND g.expires_at > $2 AND g.idle_expires_at > $2),
       ARRAY(SELECT DISTINCT r FROM auth.grants g, unnest(g.resources) AS r
         WHERE g.user_id = $1 AND g.client_id = apps.client_id AND g.authorization_details IS NOT NULL
           AND g.revoked_at IS NULL AND g.expires_at > $2 AND g.idle_expires_at > $2)
  FROM (
  SELECT client_id, coalesce(array_agg(DISTINCT scope ORDER BY scope) FILTER (WHERE scope <> ''), '{}') AS scopes, min(at) AS since FROM (
    SELECT client_id, unnest(scopes) AS scope, granted_at AS at FROM auth.consents WHERE user_id = $1
    UNION ALL
    SELECT client_id, unnest(CASE WHEN authorization_details IS NULL THEN scopes
             ELSE array_remove(array_remove(scopes, 'lists:read'), 'lists:write') || '{""}' END), created_at FROM auth.grants
     WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND idle_expires_at > $2) AS given
  GROUP BY client_id) AS apps
 ORDER BY since DESC LIMIT 200`

// app is a client that a person lets do something.
type app struct {
	ClientID  string
	Scopes    []string
	Details   []oidc.AuthorizationDetail // of its grants in force
	Resources []string                   // that the details are about
	Since     time.Time
}

// apps lists up to 200 clients, the newest first.
func (c *Consents) apps(ctx context.Context, user id.ID) ([]app, error) {
	rows, err := c.DB.Query(ctx, selectApps, user, c.Now())
	if err != nil {
		return nil, postgres.Translate(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (app, error) {
		var one app
		return one, row.Scan(&one.ClientID, &one.Scopes, &one.Since, &one.Details, &one.Resources)
	})
	return all, postgres.Translate(err)
}

// AppPages renders /account/apps.
type AppPages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error
}

// AppHandler serves /account/apps, where people see which apps may do what with
// their account and take it back.
type AppHandler struct {
	Consents *Consents
	Sessions Sessions
	Clients  Clients
	Names    Names
	Pages    AppPages
	Issuer   string
}

// Mount adds the page to rt, which reports errors as pages.
func (h *AppHandler) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/account/apps", h.show)
	rt.Handle(http.MethodPost, "/account/apps", h.withdraw)
}

// appsPage is what apps.html shows.
type appsPage struct {
	Apps   []connected
	Notice string
}

// connected is an app on the page.
type connected struct {
	ClientID string
	App      oidc.App
	Scopes   []meaning
	Since    time.Time
	Offline  bool   // it stays connected when the person signs out
	Open     string // where the app begins a sign-in of its own, "" for nowhere
}

func (h *AppHandler) show(w http.ResponseWriter, r *http.Request) error {
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, oidc.Onward{Page: "apps"}.Via("/login"))
	}
	all, err := h.Consents.apps(r.Context(), login.Subject)
	if err != nil {
		return err
	}
	var page appsPage
	if r.URL.Query().Get("done") == "withdrawn" {
		page.Notice = "That app has no access any more."
	}
	names := h.names(r.Context(), login.Subject, all)
	for _, one := range all {
		c, err := h.Clients.Client(r.Context(), one.ClientID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		view := oidc.App{Name: one.ClientID} // disabled by now; its access can still be taken away
		if c != nil {
			view = c.App()
		}
		page.Apps = append(page.Apps, connected{
			ClientID: one.ClientID, App: view, Scopes: append(oidc.DetailMeanings(one.Details, names), meanings(one.Scopes)...), Since: one.Since,
			Offline: slices.Contains(one.Scopes, oidc.ScopeOfflineAccess), Open: h.initiateLogin(c),
		})
	}
	return h.Pages.Render(w, r, http.StatusOK, "apps", page)
}

// names asks once for all apps, since an API that is slow may keep the page
// waiting once.
func (h *AppHandler) names(ctx context.Context, person id.ID, all []app) oidc.DetailNames {
	var resources []string
	var details []oidc.AuthorizationDetail
	for _, one := range all {
		resources, details = append(resources, one.Resources...), append(details, one.Details...)
	}
	return h.Names.Of(ctx, person, resources, details)
}

// initiateLogin is where an app that registered an initiate_login_uri begins to
// sign the person in (OpenID Connect Core §4).
func (h *AppHandler) initiateLogin(c *oidc.Client) string {
	if c == nil || c.Metadata.InitiateLoginURI == "" {
		return ""
	}
	u, err := url.Parse(c.Metadata.InitiateLoginURI)
	if err != nil {
		return ""
	}
	query := u.Query()
	query.Set("iss", h.Issuer)
	u.RawQuery = query.Encode()
	return u.String()
}

func (h *AppHandler) withdraw(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxForm)
	if err != nil {
		return err
	}
	if form.Get("action") != "withdraw" || form.Get("client_id") == "" {
		return web.NoButton()
	}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login == nil {
		return web.SeeOther(w, r, oidc.Onward{Page: "apps"}.Via("/login"))
	}
	if err := h.Consents.Withdraw(r.Context(), login.Subject, form.Get("client_id")); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/account/apps?done=withdrawn")
}
