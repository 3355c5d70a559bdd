package rp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"larder/tests/stack"
)

// TestDocs runs the JavaScript of the pages docs/integrate-*.md: what people copy has to work. The script of the same
// name in the folder node makes what the page calls settings.
func TestDocs(t *testing.T) {
	dir := install(t)
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	made, err := s.Operate(t.Context(), "client", "create", "--name", "Stock API", "--grant", "client_credentials",
		"--introspect-resource", s.API, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(made), &api); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"integrate-mobile", "integrate-service", "integrate-resource-server"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			converse(t, s, dir, pageScript(t, dir, page), nil, "RS_ID="+api.ID, "RS_SECRET="+api.Secret)
		})
	}
	t.Run("operating", func(t *testing.T) {
		t.Parallel()
		alertsNameMetrics(t, s)
	})
}

// alertsNameMetrics says that the alerts of docs/operating.md are of metrics that the services have.
func alertsNameMetrics(t *testing.T, s *stack.Stack) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, service := range map[string]*stack.Service{"authserver": s.AuthServers[0], "resourceapi": s.ResourceAPIs[0]} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service.Internal+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		metrics, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			t.Fatal(err)
		}
		rows := regexp.MustCompile(`(?m)^\| (?:both|`+name+`) \| (.*?) \| `).FindAllSubmatch(page, -1)
		if len(rows) < 8 {
			t.Errorf("%s has only %d alerts", name, len(rows))
		}
		for _, row := range rows {
			for _, named := range regexp.MustCompile(`([a-z]+(?:_[a-z]+)+)(\(?)`).FindAllSubmatch(row[1], -1) {
				if function := len(named[2]) > 0; !function && !bytes.Contains(metrics, append([]byte("\n"), named[1]...)) {
					t.Errorf("%s has no metric %s", name, named[1])
				}
			}
		}
	}
}

// pageScript makes one script of the JavaScript on a page and returns its name.
func pageScript(t *testing.T, dir, page string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", page+".md"))
	if err != nil {
		t.Fatal(err)
	}
	fenced := regexp.MustCompile("(?ms)^```js\n(.*?)^```$")
	script := []string{"import { settings, open, done, goodbye } from './" + page + ".mjs'\n"}
	for _, block := range fenced.FindAllSubmatch(raw, -1) {
		script = append(script, string(block[1]))
	}
	script = append(script, "done('the page')\ngoodbye()\n")
	name := "run-" + page + ".mjs"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(script, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
