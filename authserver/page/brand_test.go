package page_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"larder/authserver/page"
	"larder/internal/brand"
	"larder/internal/web"
)

// A page of another brand has its name, colours, logo and links, in every
// language, and nothing of ours.
func TestPagesShowTheBrand(t *testing.T) {
	t.Parallel()
	drawing := `<svg xmlns="http://www.w3.org/2000/svg"/>`
	p, err := page.New("https://id.example", brand.Brand{
		Name: "Vorrat & <Co>", Light: "#1d4ed8", Dark: "#93c5fd", Logo: &brand.Logo{Type: "image/svg+xml", Body: []byte(drawing)},
		Contact: "help@example.com", Terms: "https://example.com/terms", Privacy: "https://example.com/privacy",
	})
	if err != nil {
		t.Fatal(err)
	}
	rt := web.NewRouter(p.Error)
	p.Mount(rt)
	rt.Handle(http.MethodGet, "/page", func(w http.ResponseWriter, r *http.Request) error {
		return p.Render(w, r, http.StatusOK, "register", values{"Flow": "", "Next": "", "Onward": "/login", "Alert": "", "Field": "", "Name": "", "Email": "", "MinLength": 15})
	})
	get := func(path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		rt.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return rec
	}
	for language, terms := range map[string]string{"en": "terms of service", "de": "Nutzungsbedingungen", "fr": "conditions d’utilisation"} {
		shown := get("/page?ui_locales=" + language).Body.String()
		for _, want := range []string{
			"· Vorrat &amp; &lt;Co&gt;</title>", `alt="Vorrat &amp; &lt;Co&gt;"`, `<a href="mailto:help@example.com">`,
			`<a href="https://example.com/terms" target="_blank" rel="noopener">` + terms, `<a href="https://example.com/privacy" rel="noopener">`,
		} {
			if !strings.Contains(shown, want) {
				t.Errorf("%s: %s is missing in %s", language, want, shown)
			}
		}
		if strings.Contains(shown, "Larder") || strings.Contains(shown, `class="shelf"`) {
			t.Errorf("%s: our own brand shows in %s", language, shown)
		}
	}
	shown := get("/page").Body.String()
	logo := get(regexp.MustCompile(`src="(/static/logo\.[0-9a-f]{16}\.svg)"`).FindStringSubmatch(shown)[1])
	if h := logo.Header(); logo.Body.String() != drawing || h.Get("Content-Type") != "image/svg+xml" || h.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || !strings.Contains(h.Get("Cache-Control"), "immutable") {
		t.Errorf("the logo: %d %v", logo.Code, logo.Header())
	}
	if css := get(regexp.MustCompile(`/static/larder\.[0-9a-f]+\.css`).FindString(shown)).Body.String(); !strings.Contains(css, "--leaf:#1d4ed8") || !strings.Contains(css, "--leaf:#93c5fd") {
		t.Error("the stylesheet lacks the accents")
	}
}
