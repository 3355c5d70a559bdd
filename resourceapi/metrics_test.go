package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"larder/internal/web"
)

// docs/operating.md names no metric that there is not.
func TestAlertsNameMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	answer := httptest.NewRecorder()
	web.Internal(h.registry, h.checks()...).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	text := answer.Body.String()
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (?:both|resourceapi) \| (.*?) \| `).FindAllSubmatch(page, -1)
	if len(rows) < 8 {
		t.Fatalf("only %d alerts", len(rows))
	}
	for _, row := range rows {
		named := regexp.MustCompile(`([a-z]+(?:_[a-z]+)+)(\(?)`).FindAllSubmatch(row[1], -1)
		for _, name := range named {
			function := len(name[2]) > 0
			if !function && !strings.Contains(text, "\n"+string(name[1])) {
				t.Errorf("metrics lack %s", name[1])
			}
		}
	}
}
