package emulator

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"larder/internal/secret"
)

type paths struct{ auth, token, keys string }

func (p *Provider) mount(mux *http.ServeMux, prefix string, at paths) {
	mux.HandleFunc("GET "+prefix+at.auth, p.showAuthorize)
	mux.HandleFunc("POST "+prefix+at.auth, p.authorize)
	mux.HandleFunc("POST "+prefix+at.token, p.token)
	mux.HandleFunc("GET "+prefix+at.keys, p.serveKeys)
	mux.HandleFunc("GET "+prefix+"/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]any{
			"issuer": p.Issuer, "authorization_endpoint": p.Issuer + at.auth, "token_endpoint": p.Issuer + at.token, "jwks_uri": p.Issuer + at.keys,
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
}

const shell = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} (emulated)</title><style nonce="emulator">body{font:1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
input[type=text],input[type=email],select{display:block;width:100%;box-sizing:border-box;min-height:2.75rem;margin:.25rem 0 1rem;font:inherit;padding:.4rem .6rem}
button{min-height:2.75rem;padding:.4rem 1.25rem;font:inherit;margin:1rem .5rem 0 0}label.check{display:block}</style></head><body><main>`

func authorizePage() *template.Template {
	return template.Must(template.New("authorize").Parse(shell + `
<h1>{{.Title}} (emulated)</h1>
<p>This page stands in for {{.Title}} on a developer’s machine. You may be anybody.</p>
<form method="post">
<label for="email">Email</label><input id="email" name="email" type="email" required autofocus value="{{.Hint}}">
<label for="name">Name</label><input id="name" name="name" type="text" value="Robin Example">
<label class="check"><input type="checkbox" name="unverified" value="yes"> {{.Title}} has not verified this address</label>
{{if .Relay}}<label class="check"><input type="checkbox" name="relay" value="yes"> Hide my email</label>{{end}}
<button name="action" value="allow">Allow</button><button name="action" value="deny" formnovalidate>Cancel</button>
</form></main></body></html>`))
}

func formPostPage() *template.Template {
	return template.Must(template.New("form_post").Parse(shell + `
<form method="post" action="{{.Action}}">{{range $name, $value := .Fields}}<input type="hidden" name="{{$name}}" value="{{$value}}">{{end}}
<p>You are being sent back.</p><noscript><button>Continue</button></noscript></form><script nonce="emulator">document.forms[0].submit()</script></main></body></html>`))
}

// check returns what is wrong with an authorization request, as Google and
// Apple would show it on a page of their own.
func (p *Provider) check(q url.Values) string {
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("client_id") != p.ClientID:
		return "invalid_client"
	case err != nil || redirect.Host == "" || !strings.HasSuffix(redirect.Path, "/"+p.Name+"/callback"):
		return "redirect_uri_mismatch"
	case q.Get("response_type") != "code" || q.Get("state") == "":
		return "invalid_request"
	case p.Name == "google" && !strings.Contains(" "+q.Get("scope")+" ", " openid "):
		return "invalid_scope"
	case p.Name == "apple" && q.Get("scope") != "" && q.Get("response_mode") != "form_post":
		return "invalid_request: response_mode must be form_post when name or email scope is requested"
	case q.Get("code_challenge") != "" && q.Get("code_challenge_method") != "S256":
		return "invalid_request: code_challenge_method"
	}
	return ""
}

func (p *Provider) showAuthorize(w http.ResponseWriter, r *http.Request) {
	if why := p.check(r.URL.Query()); why != "" {
		respond(w, http.StatusBadRequest, map[string]string{"error": why})
		return
	}
	html(w)
	_ = authorizePage().Execute(w, map[string]any{"Title": p.Title, "Hint": r.URL.Query().Get("login_hint"), "Relay": p.Name == "apple"})
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if why := p.check(q); why != "" {
		respond(w, http.StatusBadRequest, map[string]string{"error": why})
		return
	}
	fields := map[string]string{"state": q.Get("state")}
	switch {
	case r.PostFormValue("action") == "allow" && r.PostFormValue("email") != "":
		p.allow(r, q, fields)
	case p.Name == "apple":
		fields["error"] = "user_cancelled_authorize"
	default:
		fields["error"] = "access_denied"
	}
	if q.Get("response_mode") == "form_post" {
		html(w)
		_ = formPostPage().Execute(w, map[string]any{"Title": p.Title, "Action": q.Get("redirect_uri"), "Fields": fields})
		return
	}
	back := url.Values{}
	for name, value := range fields {
		back.Set(name, value)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound) //nolint:gosec // a stand-in on loopback; see check
}

// allow makes a code, and for Apple the form field "user", which comes once.
func (p *Provider) allow(r *http.Request, q url.Values, fields map[string]string) {
	who := person{
		email: r.PostFormValue("email"), name: r.PostFormValue("name"),
		verified: r.PostFormValue("unverified") == "", relay: r.PostFormValue("relay") != "",
	}
	subject := p.Subject(who.email)
	code := secret.New().Reveal()
	p.mu.Lock()
	defer p.mu.Unlock()
	for old, g := range p.codes {
		if p.emulator.now().After(g.expires) {
			delete(p.codes, old)
		}
	}
	p.codes[code] = grant{
		person: who, redirect: q.Get("redirect_uri"), nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), expires: p.emulator.now().Add(codeLife),
	}
	if u, err := url.Parse(q.Get("redirect_uri")); err == nil {
		p.receiver = u.Scheme + "://" + u.Host
	}
	fields["code"] = code
	if p.Name != "apple" || p.agreed[subject] {
		return
	}
	p.agreed[subject] = true
	first, last, _ := strings.Cut(who.name, " ")
	user, err := json.Marshal(map[string]any{"name": map[string]string{"firstName": first, "lastName": last}, "email": address(who)})
	if err == nil {
		fields["user"] = string(user)
	}
}

// address is the one that Larder is told.
func address(who person) string {
	if who.relay {
		local, _, _ := strings.Cut(who.email, "@")
		return local + ".relay@privaterelay.appleid.com"
	}
	return who.email
}

func html(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-emulator'; script-src 'nonce-emulator'")
	w.Header().Set("Referrer-Policy", "origin") // so that the form_post says where it comes from
	w.Header().Set("Cache-Control", "no-store")
}
