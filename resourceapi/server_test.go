package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/internal/pgtest"
	"larder/internal/secret"
	"larder/resourceapi/bearer/bearertest"
	"larder/resourceapi/policy"
)

const resource = "http://api.test"

// service is a whole server on a real database, before a stand-in issuer.
type service struct {
	*server
	t      testing.TB
	db     *pgtest.DB
	issuer *bearertest.Issuer
	base   string
}

// newService starts one. change, if not nil, may replace parts before it
// serves.
func newService(t testing.TB, change func(*server)) *service {
	t.Helper()
	return newServiceOn(t, pgtest.New(t), change)
}

func newServiceOn(t testing.TB, db *pgtest.DB, change func(*server)) *service {
	t.Helper()
	issuer := bearertest.New(t, resource, time.Now)
	known := issuer.Config()
	s, err := newServer(t.Context(), Config{
		Development: true, Issuer: issuer.URL, Resource: resource, DatabaseURL: secret.String(db.GroceryURL), DatabaseConns: 8,
		ClientID: known.ClientID, ClientSecret: known.ClientSecret,
	}, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	s.patience = patience
	if change != nil {
		change(s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.confine(ctx); err != nil || !s.confined.Load() {
		t.Fatalf("the database was not found fit: %v", err)
	}
	handler := s.public()
	background, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { s.denials.Run(background) })
	running.Go(func() { s.reads.Run(background) })
	running.Go(func() { s.gate.Run(background) })
	running.Go(func() { s.feeds.Run(background) })
	running.Go(func() { s.courier.Run(background) })
	t.Cleanup(func() { stop(); running.Wait() })
	web := httptest.NewServer(http.MaxBytesHandler(handler, 1<<20))
	t.Cleanup(web.Close)
	return &service{server: s, t: t, db: db, issuer: issuer, base: web.URL}
}

// caller is somebody with a credential; the zero value has none.
type caller struct{ token string }

// user is a person whose token carries every scope.
func (s *service) user(sub string) caller {
	return caller{s.issuer.UserToken(sub, strings.Join(policy.Scopes(), " "))}
}

func (s *service) scoped(sub, scope string) caller { return caller{s.issuer.UserToken(sub, scope)} }

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) String() string { return http.StatusText(r.status) + " " + string(r.body) }

// into reads the body into v.
func (r reply) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
}

// field reads one member of the body.
func (r reply) field(t testing.TB, name string) string {
	t.Helper()
	var v map[string]any
	r.into(t, &v)
	s, ok := v[name].(string)
	if !ok {
		t.Fatalf("no text %q in %s", name, r.body)
	}
	return s
}

// do makes a request; headers are given as name, value pairs.
func (s *service) do(t testing.TB, c caller, method, path string, body any, headers ...string) reply {
	t.Helper()
	var reader io.Reader
	if text, ok := body.(string); ok {
		reader = strings.NewReader(text)
	} else if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.base+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{answer.StatusCode, answer.Header, read}
	checkAgainstDocument(t, r, got)
	return got
}

// version is the row's version in the ETag, which permissions stand beside.
func (r reply) version() string {
	v, _, _ := strings.Cut(strings.Trim(r.header.Get("ETag"), `"`), ".")
	return v
}

// want makes a request that must get the status.
func (s *service) want(t testing.TB, status int, c caller, method, path string, body any, headers ...string) reply {
	t.Helper()
	got := s.do(t, c, method, path, body, headers...)
	if got.status != status {
		t.Fatalf("%s %s: got %d %s, want %d", method, path, got.status, got.body, status)
	}
	return got
}

// household is a family with one of each, made through the API.
type household struct {
	*service
	path                          string // /v1/families/…
	id                            string
	admin, member, guest, alien   caller
	shared, granted, private      string // lists: the guest may view and check on granted; private is the admin's
	item, grantedItem, secretItem string
	hook                          string // a webhook that is never called
	store, stock                  string
	recipe, recurring, favourite  string
	child                         string
}

func newHousehold(t testing.TB) *household {
	t.Helper()
	s := newService(t, nil)
	return s.household(t, "")
}

// household makes a family whose people's names begin with prefix.
func (s *service) household(t testing.TB, prefix string) *household {
	t.Helper()
	h := &household{
		service: s, admin: s.user(prefix + "ann"), member: s.user(prefix + "bob"),
		guest: s.user(prefix + "gus"), alien: s.user(prefix + "zed"),
	}
	h.id = s.want(t, 201, h.admin, "POST", "/v1/families", map[string]any{"name": "Bakers", "display_name": "Ann"}).field(t, "id")
	h.path = "/v1/families/" + h.id
	h.join(t, h.member, "member", nil)
	h.shared = h.list(t, h.admin, "Weekly", "shared")
	h.granted = h.list(t, h.admin, "Party", "shared")
	h.private = h.list(t, h.admin, "Presents", "personal")
	h.join(t, h.guest, "guest", []map[string]any{{"list_id": h.granted, "verbs": []string{"view", "check"}}})
	h.item = h.add(t, h.admin, h.shared, "Milk")
	h.grantedItem = h.add(t, h.admin, h.granted, "Cake")
	h.secretItem = h.add(t, h.admin, h.private, "Watch")
	h.hook = h.want(t, 201, h.admin, "POST", h.path+"/webhooks", map[string]any{"url": "http://127.0.0.1:9/nowhere", "events": []string{"family.deleted"}}).field(t, "id")
	h.store = h.want(t, 201, h.admin, "POST", h.path+"/stores", map[string]any{"name": "Corner shop", "aisles": []string{"Fruit", "Dairy"}}).field(t, "id")
	h.stock = h.want(t, 201, h.admin, "POST", h.path+"/pantry", map[string]any{"name": "Rice", "quantity": 1, "unit": "kg"}).field(t, "id")
	h.recipe = h.want(t, 201, h.admin, "POST", h.path+"/recipes", map[string]any{"name": "Toast", "servings": 1, "ingredients": []any{map[string]any{"text": "2 slices bread"}}}).field(t, "id")
	h.favourite = h.want(t, 201, h.admin, "POST", h.path+"/favourites", map[string]any{"name": "Honey"}).field(t, "id")
	h.child = h.want(t, 201, h.admin, "POST", h.path+"/children", map[string]any{"name": "Tim"}).field(t, "id")
	h.recurring = h.want(t, 201, h.admin, "POST", h.path+"/recurring", map[string]any{"name": "Bread", "list_id": h.shared, "period": "week", "next_on": time.Now().AddDate(0, 1, 0).Format(time.DateOnly)}).field(t, "id")
	return h
}

func (h *household) invite(t testing.TB, role string, grants any) string {
	t.Helper()
	body := map[string]any{"role": role}
	if grants != nil {
		body["grants"] = grants
	}
	return h.want(t, 201, h.admin, "POST", h.path+"/invitations", body).field(t, "token")
}

func (h *household) join(t testing.TB, c caller, role string, grants any) {
	t.Helper()
	token := h.invite(t, role, grants)
	h.want(t, 200, c, "POST", "/v1/invitations/accept", map[string]any{"token": token, "display_name": role})
}

func (h *household) list(t testing.TB, c caller, name, kind string) string {
	t.Helper()
	return h.want(t, 201, c, "POST", h.path+"/lists", map[string]any{"name": name, "kind": kind}).field(t, "id")
}

func (h *household) add(t testing.TB, c caller, list, name string) string {
	t.Helper()
	return h.want(t, 201, c, "POST", h.path+"/lists/"+list+"/items", map[string]any{"name": name}).field(t, "id")
}

func (h *household) items(list string) string { return h.path + "/lists/" + list + "/items" }
