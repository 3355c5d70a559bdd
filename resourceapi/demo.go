package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	auditlog "larder/internal/audit"
	"larder/internal/devstack/demo"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/postgres"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/family"
	"larder/resourceapi/invite"
	"larder/resourceapi/item"
	"larder/resourceapi/policy"
	"larder/resourceapi/quota"
	"larder/resourceapi/recurring"
	"larder/resourceapi/tenant"
)

const guestList = "Garden party" // the shared list that the guest may view

// runDemo reads the demo document, makes sure that the families, members,
// lists and the installed app in it exist, and prints it completed. Running it
// again changes nothing.
func runDemo(ctx context.Context, getenv func(string) string, in io.Reader, out io.Writer) error {
	cfg, err := loadConfig(getenv, needDatabase)
	if err != nil {
		return err
	}
	if !cfg.Development || !demo.Loopback(cfg.Addr) || !demo.Loopback(cfg.InternalAddr) {
		return errors.New("demo data is for development: it takes RESOURCEAPI_DEVELOPMENT=true and listeners on loopback")
	}
	var document demo.Demo
	if err := json.NewDecoder(in).Decode(&document); err != nil {
		return fmt.Errorf("reading the demo document: %w", err)
	}
	pool, err := postgres.Open(ctx, cfg.DatabaseURL, 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	s, err := newSeeder(&tenant.DB{Pool: pool, Now: clock})
	if err != nil {
		return err
	}
	if err := s.seed(ctx, &document); err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(document) //nolint:gosec // handing the demo secrets to the developer is what the document is for
}

// seeder uses the API as the demo's people would, without the network and the
// tokens: what it makes has passed every rule, and is in the audit log.
type seeder struct {
	db       *tenant.DB
	families *family.Families
	api      *web.Router
}

func newSeeder(db *tenant.DB) (*seeder, error) {
	log := slog.New(slog.DiscardHandler)
	engine, err := policy.New(log, prometheus.NewRegistry(), "")
	if err != nil {
		return nil, err
	}
	db.Authorizer, db.Denials = engine, &auditlog.Queue{}
	s := &seeder{db: db, families: &family.Families{DB: db}, api: web.NewRouter(web.Problem)}
	mountFeatures(s.api, db, &quota.Quotas{}, paging.Signer{}, recurring.New(db, &item.Items{DB: db}, log), invite.NewMails(invite.Mails{}))
	return s, nil
}

func (s *seeder) seed(ctx context.Context, d *demo.Demo) error {
	admin, ok := d.User(demo.Admin)
	if !ok || admin.ID == "" {
		return errors.New("the demo document has no admin with an id: run `authserver demo` first")
	}
	if d.FamilyID == "" {
		d.FamilyID = id.New().String()
	}
	if err := s.found(ctx, d.FamilyID, admin, "The Bakers"); err != nil {
		return err
	}
	for _, role := range []demo.Role{demo.Member, demo.Guest} {
		if u, ok := d.User(role); ok {
			if err := s.admit(ctx, d.FamilyID, admin, u); err != nil {
				return err
			}
		}
	}
	if err := s.lists(ctx, d, admin); err != nil {
		return err
	}
	if err := s.share(ctx, d, admin); err != nil {
		return err
	}
	if client := d.Clients.Machine.ID; client != "" {
		body := map[string]any{"client_id": client, "scopes": []string{"family:read", "lists:read", "lists:write"}}
		if err := s.call(ctx, admin, http.MethodPost, "/v1/families/"+d.FamilyID+"/apps", body, nil); err != nil {
			return err
		}
	}
	return s.stranger(ctx, d)
}

func (s *seeder) found(ctx context.Context, familyID string, admin demo.User, name string) error {
	err := s.call(ctx, admin, http.MethodGet, "/v1/families/"+familyID, nil, nil)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	parsed, err := id.Parse(familyID)
	if err != nil {
		return fmt.Errorf("family_id of the demo document: %w", err)
	}
	made := family.New(parsed)
	made.Name = name
	return s.families.Found(s.as(ctx, admin), made, admin.Name)
}

func (s *seeder) stranger(ctx context.Context, d *demo.Demo) error {
	u, ok := d.User(demo.Stranger)
	if !ok {
		return nil
	}
	var mine struct {
		Families []struct {
			ID string `json:"id"`
		} `json:"families"`
	}
	if err := s.call(ctx, u, http.MethodGet, "/v1/families", nil, &mine); err != nil || len(mine.Families) > 0 {
		return err
	}
	body := map[string]any{"name": "The Stones", "display_name": u.Name}
	return s.call(ctx, u, http.MethodPost, "/v1/families", body, nil)
}

func (s *seeder) admit(ctx context.Context, familyID string, admin, u demo.User) error {
	var there struct {
		Members []family.Member `json:"members"`
	}
	if err := s.call(ctx, admin, http.MethodGet, "/v1/families/"+familyID+"/members", nil, &there); err != nil {
		return err
	}
	if slices.ContainsFunc(there.Members, func(m family.Member) bool { return m.UserID == u.ID }) {
		return nil
	}
	var invitation struct {
		Token string `json:"token"`
	}
	body := map[string]any{"role": string(u.Role)}
	if err := s.call(ctx, admin, http.MethodPost, "/v1/families/"+familyID+"/invitations", body, &invitation); err != nil {
		return err
	}
	body = map[string]any{"token": invitation.Token, "display_name": u.Name}
	return s.call(ctx, u, http.MethodPost, "/v1/invitations/accept", body, nil)
}

// lists makes the lists of the document that have no id yet or are not there
// any more, and fills those that are new.
func (s *seeder) lists(ctx context.Context, d *demo.Demo, admin demo.User) error {
	if !slices.ContainsFunc(d.Lists, func(l demo.List) bool { return l.Name == guestList }) {
		d.Lists = append(d.Lists, demo.List{Name: guestList, Kind: policy.Shared})
	}
	base := "/v1/families/" + d.FamilyID + "/lists"
	for i := range d.Lists {
		l := &d.Lists[i]
		if l.ID == "" {
			l.ID = id.New().String()
		}
		err := s.call(ctx, admin, http.MethodGet, base+"/"+l.ID, nil, nil)
		if err == nil {
			continue
		}
		if !fault.Is(err, fault.NotFound) {
			return err
		}
		if err := s.call(ctx, admin, http.MethodPost, base, map[string]any{"id": l.ID, "name": l.Name, "kind": l.Kind}, nil); err != nil {
			return err
		}
		for _, wanted := range shopping(*l) {
			if err := s.call(ctx, admin, http.MethodPost, base+"/"+l.ID+"/items", wanted, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *seeder) share(ctx context.Context, d *demo.Demo, admin demo.User) error {
	guest, ok := d.User(demo.Guest)
	i := slices.IndexFunc(d.Lists, func(l demo.List) bool { return l.Name == guestList })
	if !ok || i < 0 {
		return nil
	}
	path := "/v1/families/" + d.FamilyID + "/lists/" + d.Lists[i].ID + "/permissions/" + guest.ID
	return s.call(ctx, admin, http.MethodPut, path, map[string]any{"verbs": []string{"view"}}, nil)
}

func shopping(l demo.List) []map[string]any {
	thing := func(name string, quantity float64, unit, category string) map[string]any {
		return map[string]any{"name": name, "quantity": quantity, "unit": unit, "category": category}
	}
	switch {
	case l.Kind == policy.Personal:
		return []map[string]any{thing("Birthday present for Ben", 1, "", "Secrets")}
	case l.Name == guestList:
		return []map[string]any{
			thing("Charcoal", 2, "bags", "Outdoors"), thing("Sausages", 20, "", "Meat"), thing("Lemonade", 6, "bottles", "Drinks"),
		}
	}
	return []map[string]any{
		thing("Apples", 1.5, "kg", "Fruit and vegetables"), thing("Carrots", 500, "g", "Fruit and vegetables"),
		thing("Tomatoes", 6, "", "Fruit and vegetables"), thing("Milk", 2, "l", "Dairy"), thing("Butter", 250, "g", "Dairy"),
		thing("Cheddar", 300, "g", "Dairy"), thing("Rye bread", 1, "", "Bakery"), thing("Eggs", 12, "", "Dairy"),
		thing("Spaghetti", 1, "kg", "Pantry"), thing("Olive oil", 0.75, "l", "Pantry"), thing("Coffee", 500, "g", "Drinks"),
		thing("Dish soap", 1, "", "Household"),
	}
}

// as puts u in the place of an authenticated caller.
func (s *seeder) as(ctx context.Context, u demo.User) context.Context {
	return bearer.With(ctx, &bearer.Caller{
		Kind: bearer.User, Subject: u.ID, ClientID: "demo", Scopes: policy.Scopes(), AuthTime: s.db.Now(),
	})
}

// call makes one request as u and reads the answer into out, if it is not nil.
// An answer that is not 2xx is an error of its kind.
func (s *seeder) call(ctx context.Context, u demo.User, method, path string, body, out any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(s.as(ctx, u), method, path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	a := answer{header: http.Header{}}
	s.api.ServeHTTP(&a, r)
	switch {
	case a.status == http.StatusNotFound:
		return fault.New(fault.NotFound, method+" "+path+": "+a.body.String())
	case a.status >= http.StatusMultipleChoices:
		return fmt.Errorf("%s %s as %s: %d %s", method, path, u.Name, a.status, a.body.String())
	case out == nil:
		return nil
	}
	return json.Unmarshal(a.body.Bytes(), out)
}

// answer takes the place of a connection.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
