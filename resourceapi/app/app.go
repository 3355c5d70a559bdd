package app

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const maxApps = 50 // of one family

// Apps answers for installed apps.
type Apps struct {
	DB *tenant.DB
}

// App is an installed client.
type App struct {
	ClientID    string    `json:"client_id"`
	Scopes      []string  `json:"scopes"`
	InstalledBy string    `json:"installed_by"`
	InstalledAt time.Time `json:"installed_at"`
	Permissions []string  `json:"permissions"`
}

const (
	selectApps = `
SELECT client_id, scopes, installed_by, installed_at
  FROM grocery.app_installations WHERE family_id = $1 ORDER BY client_id LIMIT 200`

	countApps = `SELECT count(*) FROM grocery.app_installations WHERE family_id = $1 AND client_id <> $2`

	upsertApp = `
INSERT INTO grocery.app_installations (family_id, client_id, scopes, installed_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (family_id, client_id)
DO UPDATE SET scopes = excluded.scopes, installed_by = excluded.installed_by, installed_at = now()
RETURNING client_id, scopes, installed_by, installed_at`

	deleteApp = `DELETE FROM grocery.app_installations WHERE family_id = $1 AND client_id = $2`
)

func (a *App) scan(row pgx.Row) error {
	return row.Scan(&a.ClientID, &a.Scopes, &a.InstalledBy, &a.InstalledAt)
}

// Mount adds the routes.
func (h *Apps) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/apps", h.list)
	rt.Handle(http.MethodPost, "/v1/families/{family_id}/apps", h.install)
	rt.Handle(http.MethodDelete, "/v1/families/{family_id}/apps/{client_id}", h.uninstall)
}

func (h *Apps) list(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	ctx := r.Context()
	apps := []App{}
	err = h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &apps, (*App).scan, selectApps, family)
		if err := tx.SendFor(ctx, policy.AppList); err != nil {
			return err
		}
		may := permitted(ctx, tx)
		for i := range apps {
			apps[i].Permissions = may
		}
		return nil
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"apps": apps})
}

// permitted lists what the caller may do to an app: to one as to the other.
func permitted(ctx context.Context, tx *tenant.Tx) []string {
	return tx.Permitted(ctx, tx.Resource(policy.AppResource, id.ID{}), policy.AppUninstall)
}

type draft struct {
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes"`
}

func (d *draft) check() error {
	var f valid.Form
	if d.ClientID == "" || len(d.ClientID) > 128 || strings.ContainsFunc(d.ClientID, func(c rune) bool { return c < 0x21 || c > 0x7e }) {
		f.Fault("/client_id", "must be a client_id")
	}
	known := policy.Scopes()
	if len(d.Scopes) == 0 || slices.ContainsFunc(d.Scopes, func(s string) bool { return !slices.Contains(known, s) }) {
		f.Fault("/scopes", "must be some of "+strings.Join(known, ", "))
	}
	slices.Sort(d.Scopes)
	d.Scopes = slices.Compact(d.Scopes)
	return f.Err()
}

func (h *Apps) install(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var d draft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	a, err := h.upsert(r.Context(), family, d)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, a)
}

func (h *Apps) upsert(ctx context.Context, family id.ID, d draft) (*App, error) {
	var a App
	return &a, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var others int
		tx.Row(func(row pgx.Row) error { return row.Scan(&others) }, countApps, family, d.ClientID)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.AppInstall, tx.Resource(policy.AppResource, id.ID{})); err != nil {
			return err
		}
		if others >= maxApps {
			return fault.New(fault.Conflict, "The family has too many apps. Uninstall some first.").WithCode("too_many")
		}
		a.Permissions = permitted(ctx, tx)
		tx.Row(a.scan, upsertApp, family, d.ClientID, d.Scopes, tx.Principal())
		tx.Record(ctx, tenant.Change{Event: "app.installed", Entity: d.ClientID, Details: map[string]any{"scopes": d.Scopes}})
		return nil
	})
}

func (h *Apps) uninstall(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	client, err := web.Name(r, "client_id")
	if err != nil {
		return err
	}
	if err := h.delete(r.Context(), family, client); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Apps) delete(ctx context.Context, family id.ID, client string) error {
	return h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := tx.May(ctx, policy.AppUninstall, tx.Resource(policy.AppResource, id.ID{})); err != nil {
			return err
		}
		there, err := tx.Exec(ctx, deleteApp, family, client)
		if err != nil {
			return err
		}
		if !there {
			return fault.New(fault.NotFound, "This app is not installed here.")
		}
		tx.Record(ctx, tenant.Change{Event: "app.uninstalled", Entity: client})
		return nil
	})
}
