package page_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/html"

	"larder/authserver/oidc"
	"larder/authserver/page"
	"larder/internal/brand"
	"larder/internal/fault"
	"larder/internal/web"
)

type values = map[string]any

// renderer parses the pages of an issuer once.
func renderer(t *testing.T, issuer string) *page.Renderer {
	t.Helper()
	made, _ := renderers.LoadOrStore(issuer, sync.OnceValues(func() (*page.Renderer, error) { return page.New(issuer, brand.Larder()) }))
	newRenderer, ok := made.(func() (*page.Renderer, error))
	if !ok {
		t.Fatalf("%T", made)
	}
	p, err := newRenderer()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var renderers sync.Map

// serve renders one page as a browser would get it.
func serve(t *testing.T, issuer string, h func(*page.Renderer, http.ResponseWriter, *http.Request) error) *httptest.ResponseRecorder {
	t.Helper()
	return serveAt(t, issuer, "/page", h)
}

func serveAt(t *testing.T, issuer, path string, h func(*page.Renderer, http.ResponseWriter, *http.Request) error) *httptest.ResponseRecorder {
	t.Helper()
	p := renderer(t, issuer)
	rt := web.NewRouter(p.Error)
	p.Mount(rt)
	rt.Handle(http.MethodGet, path, func(w http.ResponseWriter, r *http.Request) error { return h(p, w, r) })
	obs := &web.Observer{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now, Report: p.Error}
	rec := httptest.NewRecorder()
	obs.Wrap(rt, prometheus.NewRegistry()).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://evil.example"+path, nil))
	return rec
}

// everyPage renders each page with s wherever text of others may stand.
func everyPage(s string) map[string]func(*page.Renderer, http.ResponseWriter, *http.Request) error {
	app := values{"Name": s, "LogoURI": s, "PolicyURI": s, "TOSURI": s}
	named := func(name string, data values) func(*page.Renderer, http.ResponseWriter, *http.Request) error {
		return func(p *page.Renderer, w http.ResponseWriter, r *http.Request) error {
			return p.RenderFlow(w, r, http.StatusOK, name, s, data)
		}
	}
	return map[string]func(*page.Renderer, http.ResponseWriter, *http.Request) error{
		"login": named("login", values{"Flow": s, "Email": s, "Alert": s, "App": app, "Providers": nil}),
		"account": named("account", values{
			"Name": s, "Email": s, "EmailVerified": false, "HasPassword": true, "Claims": map[string]string{"nickname": s}, "Spoken": nil, "Told": nil,
			"SignedInAt": time.Now(), "DeleteAt": nil, "Notice": "", "Alert": s, "Field": s, "NewEmail": s, "Nudge": true,
		}),
		"security": named("security", values{
			"Email": s, "HasPassword": true, "MinLength": 15, "Factors": oidc.Factors{}, "Notice": "", "Alert": s, "Field": "password", "SID": "", "Disowned": true,
			"SignIns": []values{{"At": time.Now(), "Succeeded": true, "Device": s, "Address": s, "Place": s, "SID": s}},
		}),
		"consent": named("consent", values{
			"Flow": s, "Session": s, "App": app, "UserName": s, "UserEmail": s, "ReturnHost": s,
			"Scopes": []values{{"Title": s, "Detail": s}},
		}),
		"logout": func(p *page.Renderer, w http.ResponseWriter, r *http.Request) error {
			return p.ConfirmLogout(w, r, s, map[string]string{"state": s, "post_logout_redirect_uri": s})
		},
		"loggedout": func(p *page.Renderer, w http.ResponseWriter, r *http.Request) error {
			return p.LoggedOut(w, r, oidc.LoggedOut{ClientName: s, ReturnURI: s, Onward: true, Frames: []string{s}})
		},
		"form-post": func(p *page.Renderer, w http.ResponseWriter, r *http.Request) error {
			return p.FormPost(w, r, oidc.FormPost{ClientName: s, URI: "app.example:/cb?" + url.QueryEscape(s), Parameters: url.Values{"state": {s}}})
		},
		"error": func(*page.Renderer, http.ResponseWriter, *http.Request) error {
			return fault.New(fault.Invalid, s)
		},
		"not found": func(*page.Renderer, http.ResponseWriter, *http.Request) error {
			return fault.New(fault.NotFound, s)
		},
	}
}

// O25: what others wrote is inert on every page.
func TestTextOfOthersIsInert(t *testing.T) {
	for _, attack := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `javascript:alert(1)`, `' onfocus='alert(1)`,
		`</style><svg onload=alert(1)>`, "data:text/html,<script>alert(1)</script>", "{{.}}", "\x00\xff",
		"https://x.example/;script-src *", "x:y\r\nSet-Cookie: a=b", "http://a;script-src.example/",
	} {
		for name, h := range everyPage(attack) {
			res := serve(t, "http://localhost:9000", h)
			shown := res.Body.String()
			for _, found := range live(t, shown) {
				t.Errorf("%s: %q is live: %s", name, attack, found)
			}
			csp := res.Header().Get("Content-Security-Policy")
			csp = strings.Replace(csp, "frame-src https://x.example; ", "", 1) // the origin that it names, and nothing of the rest
			ours, scripted := 5, name == "login" || name == "account" || name == "security" || name == "form-post"
			if scripted {
				ours = 7
			}
			if name == "form-post" { // which leads to where its client leads
				ours--
			}
			if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") != scripted || strings.ContainsAny(csp, "\r\n") || strings.Count(csp, ";") != ours {
				t.Errorf("%s: %q changed the policy: %s", name, attack, csp)
			}
			if res.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s: %q set a cookie", name, attack)
			}
		}
	}
}

// live lists what in a page could run or restyle it.
func live(t *testing.T, source string) (found []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" && n.FirstChild == nil && n.Parent.Data == "head" && len(n.Attr) == 2 && n.Attr[0].Key == "src" &&
			regexp.MustCompile(`^/static/(form|passkey|post)\.[0-9a-f]+\.js$`).MatchString(n.Attr[0].Val) && n.Attr[1].Key == "nonce" {
			continue // our own
		}
		switch n.Data {
		case "iframe":
			// Of apps that hear of a sign-out; they may not lead the page away.
			if !slices.Contains(n.Attr, html.Attribute{Key: "sandbox", Val: "allow-scripts allow-same-origin"}) {
				found = append(found, n.Data)
			}
		case "script", "style", "object", "embed", "base":
			found = append(found, n.Data)
		}
		for _, a := range n.Attr {
			scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(a.Val)), ":")
			link := a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "formaction"
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || link && (scheme == "javascript" || scheme == "data") {
				found = append(found, n.Data+" "+a.Key+"="+a.Val)
			}
		}
	}
	return found
}

// O26, and what else every page carries.
func TestEveryPageHasItsHeaders(t *testing.T) {
	nonces := map[string]bool{}
	for name, h := range everyPage("plain") {
		res := serve(t, "https://id.example", h)
		shown := res.Body.String()
		csp := res.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, part) && (name != "form-post" || part != "form-action 'self'") {
				t.Errorf("%s: %q is missing in %s", name, part, csp)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", name, csp)
		}
		nonce := regexp.MustCompile(`'nonce-([^']+)'`).FindStringSubmatch(csp)
		if nonce == nil || nonces[nonce[1]] || !strings.Contains(shown, `nonce="`+nonce[1]+`"`) {
			t.Errorf("%s: nonce %v is missing, used before, or not on the stylesheet", name, nonce)
		} else {
			nonces[nonce[1]] = true
		}
		if strings.Contains(shown, "style=") || strings.Contains(shown, "<style") || strings.Contains(shown, "evil.example") {
			t.Errorf("%s: inline style or the Host header in %s", name, shown)
		}
		for header, want := range map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Strict-Transport-Security":    "max-age=31536000; includeSubDomains",
		} {
			if got := res.Header().Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		for _, part := range []string{"<!doctype html>", `<html lang="en">`, "<title>", "<h1>", "<main"} {
			if strings.Count(shown, part) != 1 {
				t.Errorf("%s: %s comes %d times", name, part, strings.Count(shown, part))
			}
		}
	}
}

// A client that signs people in, or out, in a popup keeps hold of the window, whatever they come by; nobody keeps hold
// of their account.
func TestOnlyTheAccountLeavesAPopup(t *testing.T) {
	leading := func(to string) func(*page.Renderer, http.ResponseWriter, *http.Request) error {
		return func(p *page.Renderer, w http.ResponseWriter, r *http.Request) error {
			return p.RenderFlow(w, r, http.StatusOK, "login", to, loginValues)
		}
	}
	for _, c := range []struct{ path, to, want string }{
		{"/login", "https://app.example/cb", "unsafe-none"},
		{"/login", "", "unsafe-none"},
		{"/register", "", "unsafe-none"},
		{"/account/security", "https://app.example/cb", "unsafe-none"},
		{"/account/security", "", "same-origin"},
		{"/account", "", "same-origin"},
	} {
		if got := serveAt(t, "https://id.example", c.path, leading(c.to)).Header().Get("Cross-Origin-Opener-Policy"); got != c.want {
			t.Errorf("%s, which leads to %q: %q, want %q", c.path, c.to, got, c.want)
		}
	}
	for name, h := range everyPage("plain") {
		if got := serve(t, "https://id.example", h).Header().Get("Cross-Origin-Opener-Policy"); got != "unsafe-none" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestPlainHTTPHasNoHSTS(t *testing.T) {
	res := serve(t, "http://localhost:9000", everyPage("plain")["login"])
	if got := res.Header().Get("Strict-Transport-Security"); got != "" {
		t.Errorf("Strict-Transport-Security is %q on http", got)
	}
}

var loginValues = values{"Flow": "", "Next": "", "Email": "", "Alert": "", "App": nil, "Providers": nil}

func TestFormsMayLeadToTheClient(t *testing.T) {
	const usual = "form-action 'self' https: http://localhost:* http://127.0.0.1:*"
	for redirectURI, want := range map[string]string{
		"":                                 usual + ";",
		"https://app.example/cb":           usual + ";",
		"com.example.app:/cb":              usual + " com.example.app:;",
		"http://192.0.2.1:8080/cb":         usual + " http://192.0.2.1:8080;",
		"http://[::1]:8080/cb":             usual + " http:;",
		"http://x.example;img-src/cb":      usual + ";",
		"http://user@x.example/cb":         usual + " http://x.example;",
		"http://x.example'unsafe-eval'/cb": usual + ";",
	} {
		res := serve(t, "http://localhost:9000", func(p *page.Renderer, w http.ResponseWriter, r *http.Request) error {
			return p.RenderFlow(w, r, http.StatusOK, "login", redirectURI, loginValues)
		})
		if csp := res.Header().Get("Content-Security-Policy"); !strings.Contains(csp, want) {
			t.Errorf("%q: %s, want %s", redirectURI, csp, want)
		}
	}
}

func TestErrorsShowWhatMayBeShown(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		shows  string
	}{
		{fault.Wrap(fault.Invalid, "The redirect URI is wrong.", io.ErrUnexpectedEOF), 400, "The redirect URI is wrong."},
		{fault.New(fault.NotFound, "It took too long.").WithCode("sign_in_over"), 404, "This sign-in is over"},
		{fault.New(fault.Unavailable, ""), 503, "The service cannot answer right now."},
		{fault.New(fault.Internal, "the secret cause"), 500, "Something went wrong on our side."},
		{io.ErrUnexpectedEOF, 500, "Something went wrong on our side."},
	} {
		res := serve(t, "http://localhost:9000", func(*page.Renderer, http.ResponseWriter, *http.Request) error { return c.err })
		shown := res.Body.String()
		if res.Code != c.status || !strings.Contains(shown, c.shows) || !strings.Contains(shown, `role="alert"`) {
			t.Errorf("%v: %d %s", c.err, res.Code, shown)
		}
		if strings.Contains(shown, "EOF") || strings.Contains(shown, "secret cause") {
			t.Errorf("%v: the cause is shown: %s", c.err, shown)
		}
		if rid := res.Header().Get(web.RequestIDHeader); rid == "" || !strings.Contains(shown, rid) {
			t.Errorf("%v: the request id %q is not shown", c.err, rid)
		}
		if (res.Header().Get("Retry-After") != "") != (c.status == 503) {
			t.Errorf("%v: Retry-After is %q", c.err, res.Header().Get("Retry-After"))
		}
	}
}

func TestStaticFilesAreCachedForEver(t *testing.T) {
	shown := serve(t, "http://localhost:9000", everyPage("plain")["login"]).Body.String()
	p, err := page.New("http://localhost:9000", brand.Larder())
	if err != nil {
		t.Fatal(err)
	}
	rt := web.NewRouter(p.Error)
	p.Mount(rt)
	paths := regexp.MustCompile(`"(/static/[^"]+)"`).FindAllStringSubmatch(shown, -1)
	if len(paths) != 4 {
		t.Fatalf("the page names %d static files, want stylesheet, icon and two scripts", len(paths))
	}
	for _, path := range paths {
		rec := httptest.NewRecorder()
		rt.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path[1], nil))
		if rec.Code != http.StatusOK || !strings.Contains(rec.Header().Get("Cache-Control"), "immutable") || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path[1], rec.Code, rec.Header())
		}
	}
	rec := httptest.NewRecorder()
	rt.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/static/larder.css", nil))
	if rec.Code != http.StatusNotFound {
		t.Errorf("a file without its hash: %d, want 404", rec.Code)
	}
}

// The answer to an app goes as it is, wherever the app is, and in its language (OAuth 2.0 Form Post Response Mode).
func TestFormPost(t *testing.T) {
	shown := serve(t, "http://localhost:9000", func(p *page.Renderer, w http.ResponseWriter, r *http.Request) error {
		return p.FormPost(w, r, oidc.FormPost{
			ClientName: "Shop & Go", URI: "app.example:/cb?a=1&b=2", Parameters: url.Values{"state": {`"><script>`}, "code": {"c"}}, UILocales: []string{"de-AT", "fr"},
		})
	}).Body.String()
	for _, want := range []string{
		`<html lang="de">`, `Zurück zu <span class="name">Shop &amp; Go</span>`, `action="app.example:/cb?a=1&amp;b=2"`,
		`name="code" value="c"`, `name="state" value="&#34;&gt;&lt;script&gt;"`, "/static/post.",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("page lacks %s:\n%s", want, shown)
		}
	}
}
