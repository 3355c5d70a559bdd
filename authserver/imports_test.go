package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// The direction of imports: main -> server.go -> features -> internal ->
// libraries. Features never import each other; what they share is vocabulary.
func TestImportsPointDownward(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", "larder/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, imported := range p.Imports {
			if why := forbidden(p.ImportPath, imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
			seen++
		}
	}
	if seen < 100 {
		t.Fatalf("only %d imports were seen", seen)
	}
}

// shared are the packages below a service that its features may import.
func shared(imported string) bool {
	switch imported {
	case "larder/authserver/oidc", "larder/resourceapi/bearer", "larder/resourceapi/kitchen", "larder/resourceapi/policy", "larder/resourceapi/tenant":
		return true
	}
	return false
}

func forbidden(importer, imported string) string {
	if strings.HasPrefix(importer, "larder/tests") {
		return "" // they stand outside and look at both
	}
	if strings.HasPrefix(imported, "github.com/ory/fosite") && !strings.HasPrefix(importer, "larder/authserver/oauth") {
		return "only authserver/oauth speaks fosite"
	}
	from, to := service(importer), service(imported)
	switch {
	case to == "":
		return ""
	case from == "" && strings.HasPrefix(importer, "larder/"):
		return "what both services share knows neither"
	case from != to:
		return "the services meet over HTTP"
	case importer == "larder/"+from: // main and server.go know every feature
		return ""
	case feature(importer) == feature(imported) || shared(imported):
		return ""
	}
	return "features do not import each other"
}

// service returns authserver or resourceapi, "" for anything else.
func service(path string) string {
	for _, s := range []string{"authserver", "resourceapi"} {
		if path == "larder/"+s || strings.HasPrefix(path, "larder/"+s+"/") {
			return s
		}
	}
	return ""
}

// feature returns the first folder below the service.
func feature(path string) string {
	parts := strings.SplitN(path, "/", 4)
	if len(parts) < 3 {
		return ""
	}
	return parts[2]
}

func TestTheRulesOfImportsCatchWhatTheyShould(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		importer, imported string
		refused            bool
	}{
		{"larder/authserver", "larder/authserver/client", false},
		{"larder/authserver/oauth", "larder/authserver/oidc", false},
		{"larder/authserver/oauth", "larder/authserver/client", true},
		{"larder/authserver/oauth", "larder/resourceapi/bearer", true},
		{"larder/resourceapi/list", "larder/resourceapi/policy", false},
		{"larder/resourceapi/list", "larder/resourceapi/item", true},
		{"larder/resourceapi", "larder/authserver/oidc", true},
		{"larder/internal/web", "larder/authserver/oidc", true},
		{"larder/authserver/client", "github.com/ory/fosite", true},
		{"larder/authserver/oauth", "github.com/ory/fosite/token/jwt", false},
	} {
		if got := forbidden(c.importer, c.imported); (got != "") != c.refused {
			t.Errorf("%s imports %s: %q", c.importer, c.imported, got)
		}
	}
}
