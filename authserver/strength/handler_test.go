package strength_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"larder/authserver/page"
	"larder/authserver/strength"
	"larder/internal/brand"
	"larder/internal/limit"
	"larder/internal/pgtest"
	"larder/internal/web"
)

// What is typed is rated in the language of the page, for our own pages only, as
// often as people type, and nothing of it stays.
func TestWhatIsTypedIsRated(t *testing.T) {
	t.Parallel()
	pages, err := page.New("http://localhost:9000", brand.Larder())
	if err != nil {
		t.Fatal(err)
	}
	limits := &limit.Limiter{Redis: pgtest.Redis(t), DB: pgtest.New(t).Auth}
	rt := web.NewRouter(web.Problem)
	(&strength.Handler{Pages: pages, Limits: limits, Source: limit.Source}).Mount(rt)
	var log strings.Builder
	handler := (&web.Observer{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now, Report: web.Problem}).Wrap(rt, prometheus.NewRegistry())
	ask := func(ctx context.Context, language, site, password string) (int, string) {
		body := url.Values{"password": {password}, "email": {"ada@example.com"}, "name": {"Ada"}}.Encode()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/password/strength", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept-Language", language)
		r.Header.Set("Sec-Fetch-Site", site)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		raw, _ := io.ReadAll(rec.Body)
		return rec.Code, string(raw)
	}
	for _, c := range []struct {
		language, site, password string
		status                   int
		want                     string
	}{
		{"en", "same-origin", "hunter2", http.StatusOK, `{"strength":0,"enough":false,"says":"Too short: 7 of 15 characters."}`},
		{"de", "same-origin", "plum gravel octave tin lampshades", http.StatusOK, `{"strength":4,"enough":true,"says":"Stark: sehr schwer zu erraten."}`},
		{"fr", "same-origin", "abcdefghijklmnopqrst", http.StatusOK, `"enough":false,"says":"Trop facile à deviner.`},
		{"en", "cross-site", "plum gravel octave tin lampshades", http.StatusForbidden, `"detail"`},
		{"en", "same-origin", strings.Repeat("x", 9<<10), http.StatusRequestEntityTooLarge, `"detail"`},
	} {
		if status, got := ask(t.Context(), c.language, c.site, c.password); status != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s from %s: %d %s, want %d and %s", c.password[:7], c.site, status, got, c.status, c.want)
		}
	}
	limited := false
	for n := 0; n < 2000 && !limited; n++ { // more than 120, for some come back while a busy machine asks
		status, _ := ask(t.Context(), "en", "same-origin", "x")
		limited = status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("however many are asked for at once, all are rated")
	}
	for _, secret := range []string{"hunter2", "gravel", "ada@example.com"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is logged: %s", secret, log.String())
		}
	}
}
