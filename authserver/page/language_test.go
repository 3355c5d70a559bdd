package page_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"larder/internal/web"
)

// What a person or an app chose comes before what the browser asks for.
func TestPagesSpeakTheLanguageThatWasChosen(t *testing.T) {
	t.Parallel()
	p := renderer(t, "http://localhost:9000")
	rt := web.NewRouter(p.Error)
	p.Mount(rt)
	get := func(path, accept string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("Accept-Language", accept)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		rt.ServeHTTP(rec, r)
		return rec
	}
	choose := func(language, back string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/language", strings.NewReader(url.Values{"language": {language}, "back": {back}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		rt.ServeHTTP(rec, r)
		return rec
	}
	suggested := httptest.NewRecorder()
	p.Suggest(suggested, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/authorize", nil), []string{"xx", "fr-CA"})
	app, person := suggested.Result().Cookies()[0], choose("de", "/nowhere?flow=1").Result().Cookies()[0]
	for _, c := range []struct {
		name, path, accept, want string
		cookies                  []*http.Cookie
	}{
		{name: "nothing is said", path: "/nowhere", want: "There is nothing here"},
		{name: "the browser asks", path: "/nowhere", accept: "ja, de-CH;q=0.9, en;q=0.8", want: "Hier ist nichts"},
		{name: "a language that we lack", path: "/nowhere", accept: "ja", want: "There is nothing here"},
		{name: "the person chose", path: "/nowhere", accept: "en", want: "Hier ist nichts", cookies: []*http.Cookie{person}},
		{name: "the app asked", path: "/nowhere", accept: "en", want: "Il n’y a rien ici", cookies: []*http.Cookie{person, app}},
		{name: "this request asks", path: "/nowhere?ui_locales=de+fr", accept: "en", want: "Hier ist nichts", cookies: []*http.Cookie{app}},
		{name: "nonsense", path: "/nowhere?ui_locales=%00+" + strings.Repeat("x+", 500), accept: ";;;q=9", want: "There is nothing here"},
	} {
		res := get(c.path, c.accept, c.cookies...)
		lang := map[byte]string{'T': "en", 'H': "de", 'I': "fr"}[c.want[0]]
		if body := res.Body.String(); !strings.Contains(body, "<h1>"+c.want) || !strings.Contains(body, `<html lang="`+lang+`">`) || res.Header().Get("Content-Language") != lang {
			t.Errorf("%s: want %q in %s: %s", c.name, c.want, lang, body)
		}
	}
	// Where the browser could not come back to nobody is asked for a language.
	for path, want := range map[string]bool{"/nowhere": true, "/authorize": false, "/authorize/continue?flow=1": false} {
		if got := strings.Contains(get(path, "").Body.String(), `action="/language"`); got != want {
			t.Errorf("%s offers languages: %t, want %t", path, got, want)
		}
	}
	if got := choose("en", "/nowhere?flow=1", app).Result(); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/nowhere?flow=1" || len(got.Cookies()) != 2 || got.Cookies()[1].MaxAge >= 0 {
		t.Errorf("after the choice: %d %s %v; want the page again, without the app's wish", got.StatusCode, got.Header.Get("Location"), got.Cookies())
	}
	for _, elsewhere := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "evil", ""} {
		if got := choose("de", elsewhere).Header().Get("Location"); got != "/account" {
			t.Errorf("%q leads to %q", elsewhere, got)
		}
	}
}
