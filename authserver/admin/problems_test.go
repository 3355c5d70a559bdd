package admin_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"larder/authserver/admin"
	"larder/internal/web"
)

// The codes that docs/errors.md says the admin API answers with have a page each.
func TestTheTypeOfAProblemLeadsToItsMeaning(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	rt := web.NewRouter(web.Problem)
	admin.MountProblems(rt)
	get := func(code string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		rt.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/problems/"+code, http.NoBody))
		return answer
	}
	codes := []string{"stale", "if_match_required", "insufficient_user_authentication"} // which both APIs have
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*`) \\| admin API: .*$").FindAllStringSubmatch(string(page), -1) {
		codes = append(codes, strings.Split(strings.Trim(row[1], "`"), "`, `")...)
	}
	if len(codes) < 10 {
		t.Errorf("only %d codes were found", len(codes))
	}
	for _, code := range codes {
		if got := get(code); got.Code != http.StatusOK || !strings.HasPrefix(got.Body.String(), code+"\n") {
			t.Errorf("%s: %d %s", code, got.Code, got.Body)
		}
	}
	if got := get("%3Cscript%3E"); got.Code != http.StatusNotFound {
		t.Errorf("no code of ours: %d", got.Code)
	}
}
