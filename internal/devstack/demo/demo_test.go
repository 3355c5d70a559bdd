package demo_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/internal/devstack/demo"
)

func TestLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"localhost:9000":          true,
		"127.0.0.1:9000":          true,
		"127.8.8.8:1":             true,
		"[::1]:9000":              true,
		"[::ffff:127.0.0.1]:9000": true,
		":9000":                   false,
		"0.0.0.0:9000":            false,
		"[::]:9000":               false,
		"192.168.1.4:9000":        false,
		"localhost.evil.test:80":  false,
		"localhost":               false,
		"":                        false,
	} {
		if got := demo.Loopback(addr); got != want {
			t.Errorf("Loopback(%q) = %v, want %v", addr, got, want)
		}
	}
}

func TestDocumentKeepsTheNamesThatOutsidersRelyOn(t *testing.T) {
	t.Parallel()
	document := demo.New()
	document.Users = document.Users[:1]
	document.Clients = demo.Clients{FAPI: demo.Client{ID: "f", JWKS: json.RawMessage(`{"keys":[]}`)}}
	document.Lists = []demo.List{{ID: "1", Name: "n", Kind: "shared"}}
	raw, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"issuer":"","api":"","users":[{"id":"","name":"Ada Baker","email":"ada@example.com","password":"","role":"admin"}],` +
		`"clients":{"web":{"client_id":""},"spa":{"client_id":""},"machine":{"client_id":""},"fapi":{"client_id":"f","jwks":{"keys":[]}}},` +
		`"api_key":"","family_id":"","lists":[{"id":"1","name":"n","kind":"shared"}],"metrics":{"authserver":"","resourceapi":""}}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}
