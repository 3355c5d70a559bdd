package grant_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"larder/authserver/grant"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/pgtest"
	"larder/internal/web"
)

// place is the admin routes, without the gate, over grants of two people at two clients.
type place struct {
	t        *testing.T
	db       *pgtest.DB
	grants   *grant.Grants
	handler  http.Handler
	ada, bob id.ID
}

func setup(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, db: pgtest.New(t), ada: id.New(), bob: id.New()}
	for user, name := range map[id.ID]string{p.ada: "Ada", p.bob: "Bob"} {
		p.exec(`INSERT INTO auth.users (id, name) VALUES ($1, $2)`, user, name)
	}
	p.exec(`INSERT INTO auth.clients (id, metadata) VALUES ('planner', '{}'), ('mailer', '{}')`)
	p.grants = &grant.Grants{DB: p.db.Auth, Now: time.Now}
	rt := web.NewRouter(web.Problem)
	(&grant.Handler{
		Grants: p.grants, Actor: func(context.Context) audit.Actor { return audit.Actor{Kind: "user", ID: "olive"} },
		Cursors: func() paging.Signer { return paging.Signer{Key: make([]byte, 32)} },
	}).Mount(rt)
	p.handler = rt
	return p
}

func (p *place) exec(sql string, args ...any) {
	p.t.Helper()
	if _, err := p.db.Owner.Exec(p.t.Context(), sql, args...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) add(client string, user id.ID, expires time.Duration) id.ID {
	p.t.Helper()
	made := id.New()
	p.exec(`INSERT INTO auth.grants (id, client_id, user_id, sid, scopes, resources, session, authorization_details, idle_expires_at, expires_at)
		VALUES ($1, $2, $3, 's', '{lists:read}', '{}', '{}', '[{"type":"grocery_list","actions":["view"],"family_id":"019a0000-0000-7000-8000-000000000001"}]',
		  now() + $4, now() + $4)`, made, client, user, expires)
	return made
}

func (p *place) do(method, path string) *httptest.ResponseRecorder {
	p.t.Helper()
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, httptest.NewRequestWithContext(p.t.Context(), method, path, nil))
	return w
}

// ids reads every page of a list.
func (p *place) ids(path string) []id.ID {
	p.t.Helper()
	var all []id.ID
	for path != "" {
		var page struct {
			Grants []grant.Grant
			Next   string
		}
		w := p.do(http.MethodGet, path)
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			p.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		for _, g := range page.Grants {
			all = append(all, g.ID)
			if len(g.Details) != 1 || g.CreatedAt.IsZero() {
				p.t.Errorf("grant %+v", g)
			}
		}
		path = page.Next
	}
	return all
}

func TestOperatorsSeeWhatIsInForce(t *testing.T) {
	t.Parallel()
	p := setup(t)
	var hers, all []id.ID // the newest first
	for range 5 {
		hers = append([]id.ID{p.add("planner", p.ada, time.Hour)}, hers...)
		all = append([]id.ID{p.add("mailer", p.bob, time.Hour), hers[0]}, all...)
	}
	p.add("planner", p.ada, -time.Second) // over
	gone := p.add("planner", p.ada, time.Hour)
	if err := p.grants.Revoke(t.Context(), gone, audit.Actor{Kind: "user", ID: "olive"}); err != nil {
		t.Fatal(err)
	}
	same := func(path string, want []id.ID) {
		t.Helper()
		got := p.ids(path)
		if len(got) != len(want) {
			t.Fatalf("%s: %d grants, want %d", path, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %v at %d, want %v", path, got[i], i, want[i])
			}
		}
	}
	same("/admin/v1/grants?limit=3", all)
	same("/admin/v1/grants?limit=2&user_id="+p.ada.String(), hers)
	same("/admin/v1/grants?client_id=planner", hers)
	same("/admin/v1/grants?client_id=mailer&user_id="+p.ada.String(), nil)
	if w := p.do(http.MethodGet, "/admin/v1/grants?user_id=ada"); w.Code != http.StatusBadRequest {
		t.Errorf("a user_id that is none: %d", w.Code)
	}
}

func TestARevokedGrantIsToldOfAndStaysRevoked(t *testing.T) {
	t.Parallel()
	p := setup(t)
	mine, other := p.add("planner", p.ada, time.Hour), p.add("planner", p.ada, time.Hour)
	if w := p.do(http.MethodDelete, "/admin/v1/grants/"+mine.String()); w.Code != http.StatusNoContent {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var reason, told, event, actor string
	err := p.db.Owner.QueryRow(t.Context(), `SELECT revoked_reason, (SELECT value FROM auth.revocations WHERE kind = 'grant_id'),
		(SELECT action FROM auth.audit_events), (SELECT actor_id FROM auth.audit_events) FROM auth.grants WHERE id = $1`, mine).Scan(&reason, &told, &event, &actor)
	if err != nil || reason != "operator" || told != mine.String() || event != "grant.revoked" || actor != "olive" {
		t.Errorf("%s, %s, %s by %s, %v", reason, told, event, actor, err)
	}
	if got := p.ids("/admin/v1/grants"); len(got) != 1 || got[0] != other {
		t.Errorf("in force: %v", got)
	}
	for _, grantID := range []string{mine.String(), id.New().String(), "nonsense"} {
		if w := p.do(http.MethodDelete, "/admin/v1/grants/"+grantID); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", grantID, w.Code)
		}
	}
	if err := p.grants.Revoke(t.Context(), mine, audit.Actor{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("again: %v", err)
	}
}
