package page

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"larder/internal/language"
	"larder/internal/web"
)

const (
	languagePath = "/language"
	maxLanguage  = 4 << 10 // bytes of the form of the chooser, and of ui_locales

	languageLife  = 365 * 24 * time.Hour
	suggestedLife = 30 * time.Minute // a sign-in takes no longer
)

// Language is the one to answer a request in: what an app asked for by ui_locales
// (OpenID Connect Core §3.1.2.1), what this browser's person chose, here or in
// the account that last signed in, or what the browser asks for.
func (p *Renderer) Language(r *http.Request) string { return p.language(r).Tag }

// Say says a sentence of the code in the language of a request.
func (p *Renderer) Say(r *http.Request, text string) string { return p.language(r).Say(text) }

func (p *Renderer) language(r *http.Request, asked ...string) *language.Language {
	wishes := slices.Concat(asked, strings.Fields(r.URL.Query().Get("ui_locales")))
	for _, name := range []string{"ui-locale", "language"} {
		if c, err := r.Cookie(p.cookieName(name)); err == nil {
			wishes = append(wishes, c.Value)
		}
	}
	if len(wishes) > 10 {
		wishes = wishes[:10]
	}
	l, _ := p.languages.Match(append(wishes, r.Header.Get("Accept-Language"))...)
	return l
}

// Suggest takes the languages that an app asked for by ui_locales, for the pages
// of its sign-in. Without one that we speak, the last app's wish is forgotten.
func (p *Renderer) Suggest(w http.ResponseWriter, r *http.Request, locales []string) {
	if len(locales) > 0 {
		if l, ok := p.languages.Match(locales[:min(len(locales), 10)]...); ok {
			p.setCookie(w, "ui-locale", l.Tag, suggestedLife)
			return
		}
	}
	p.forget(w, r)
}

// Remember has this browser spoken to in a language that its person chose, if it
// is one that we speak.
func (p *Renderer) Remember(w http.ResponseWriter, r *http.Request, locale string) {
	if locale == "" {
		return
	}
	if l, ok := p.languages.Match(locale); ok {
		p.setCookie(w, "language", l.Tag, languageLife)
	}
}

func (p *Renderer) forget(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(p.cookieName("ui-locale")); err == nil {
		p.setCookie(w, "ui-locale", "", -time.Second)
	}
}

func (p *Renderer) cookieName(name string) string {
	if p.https {
		return "__Host-larder-" + name
	}
	return "larder-" + name
}

func (p *Renderer) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the issuer is https
		Name: p.cookieName(name), Value: value, Path: "/", MaxAge: int(life.Seconds()),
		Secure: p.https, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// choose answers the chooser at the foot of pages.
func (p *Renderer) choose(w http.ResponseWriter, r *http.Request) error {
	form, err := web.OwnForm(w, r, maxLanguage)
	if err != nil {
		return err
	}
	p.Remember(w, r, form.Get("language"))
	p.forget(w, r)
	return web.SeeOther(w, r, back(form.Get("back")))
}

// back is where the chooser leads: a page of ours and nowhere else.
func back(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(target, "\\\r\n\t") {
		return "/account"
	}
	return u.RequestURI()
}

// here is where the chooser leads back to, "" on a page that answers a form and
// that a browser could not come back to.
func here(r *http.Request) string {
	if r.Method != http.MethodGet || strings.HasPrefix(r.URL.Path, "/authorize") || len(r.URL.RequestURI()) > maxLanguage/2 {
		return ""
	}
	u := *r.URL
	query := u.Query()
	query.Del("ui_locales")
	u.RawQuery = query.Encode()
	return u.RequestURI()
}

// words are the functions of templates in a language.
func words(l *language.Language) template.FuncMap {
	show := func(at time.Time, text string) template.HTML {
		return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, at.UTC().Format(time.RFC3339), template.HTMLEscapeString(text))) //nolint:gosec // made here, and escaped
	}
	return template.FuncMap{
		"lang":   func() string { return l.Tag },
		"say":    l.Say,
		"day":    func(at time.Time) template.HTML { return show(at, l.Day(at)) },
		"moment": func(at time.Time) template.HTML { return show(at, l.Moment(at)) },
	}
}
