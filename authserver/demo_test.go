package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/internal/devstack/demo"
)

func document(t *testing.T) demo.Demo {
	t.Helper()
	d := demo.New()
	d.Issuer, d.API = "http://localhost:9000", testAPI
	return d
}

func seedOnce(t *testing.T, w *world, d demo.Demo) demo.Demo {
	t.Helper()
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	out, errOut, err := w.run(t, string(raw), "demo")
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	var completed demo.Demo
	if err := json.Unmarshal([]byte(out), &completed); err != nil {
		t.Fatal(err)
	}
	return completed
}

func TestTheDemoDocumentIsCompletedOnceAndStaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["AUTHSERVER_ADDR"] = "localhost:9000"
	first := seedOnce(t, w, document(t))
	for _, u := range first.Users {
		if u.ID == "" || len(u.Password) < 20 {
			t.Errorf("user %+v", u)
		}
	}
	c := first.Clients
	if c.Web.Secret == "" || c.Machine.Secret == "" || c.SPA.Secret != "" || !strings.Contains(string(c.FAPI.JWKS), `"d"`) {
		t.Errorf("clients %+v", c)
	}
	if !strings.HasPrefix(first.APIKey, "lrd_live_") || first.FamilyID == "" {
		t.Errorf("API key %q of family %q", first.APIKey, first.FamilyID)
	}
	second := seedOnce(t, w, first)
	firstText, _ := json.Marshal(first)
	secondText, _ := json.Marshal(second)
	if diff := cmp.Diff(string(firstText), string(secondText)); diff != "" {
		t.Errorf("seeded again (-first +second):\n%s", diff)
	}
	var private bool
	if err := w.db.Owner.QueryRow(t.Context(),
		`SELECT metadata::text LIKE '%"d"%' FROM auth.clients WHERE id = 'fapi'`).Scan(&private); err != nil || private {
		t.Errorf("the client's private key lies in the database: %t, %v", private, err)
	}
}

func TestALostDemoDocumentCanBeMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["AUTHSERVER_ADDR"] = "localhost:9000"
	first := seedOnce(t, w, document(t))
	again := seedOnce(t, w, document(t))
	for i := range again.Users {
		if again.Users[i].ID != first.Users[i].ID || again.Users[i].Password == first.Users[i].Password {
			t.Errorf("user %+v", again.Users[i])
		}
	}
}

func TestDemoSeedingIsForLoopbackOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, other := range []*world{
		w.with("AUTHSERVER_ADDR", "0.0.0.0:9000"),
		w.with("AUTHSERVER_DEVELOPMENT", "", "AUTHSERVER_ISSUER", "https://login.example.com"),
		w.with("AUTHSERVER_INTERNAL_ADDR", "0.0.0.0:9001", "AUTHSERVER_INTERNAL_PRIVATE", "true"),
	} {
		if _, _, err := other.run(t, "{}", "demo"); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%v", err)
		}
	}
}
