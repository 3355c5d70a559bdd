package page

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"larder/authserver/oidc"
	"larder/internal/brand"
	"larder/internal/language"
	"larder/internal/web"
	"larder/templates"
)

// Renderer writes pages. Make it with New.
type Renderer struct {
	pages  map[string]map[string]promise // by language and name
	assets map[string]asset              // by the name in its path
	style  string                        // path of the stylesheet
	icon   string
	script struct{ form, passkey, post string } // paths
	brand  view
	https  bool
	// passkeys are possible: the issuer is not an IP address, which cannot be an
	// RP ID (WebAuthn §5.1.2).
	passkeys bool

	languages *language.Catalogue
}

// view is the brand as templates see it, by the function brand.
type view struct {
	Name                    string
	Logo, LogoType          string // path of the logo, "" for our own drawing
	Contact, Terms, Privacy string // addresses, "" for none
}

// promise parses a page, once.
type promise = func() (*template.Template, error)

// frame is what layout.html sees; Data is the page's own.
type frame struct {
	Nonce string
	Style string
	Icon  string
	// Scripts are those whose definition the page has: "form-script",
	// "passkey-script", "post-script".
	Scripts []string
	// Back is where the chooser of languages leads, "" where there is none.
	Back      string
	Languages []*language.Language
	Data      any
}

// New promises every page. issuer is the configured issuer URL: the only
// place from which pages learn whether they are served by https.
func New(issuer string, b brand.Brand) (*Renderer, error) {
	languages, err := language.Load(templates.Languages(), b.Name)
	if err != nil {
		return nil, err
	}
	p := &Renderer{pages: make(map[string]map[string]promise), https: strings.HasPrefix(issuer, "https://"), languages: languages}
	if u, err := url.Parse(issuer); err == nil {
		_, notAddress := netip.ParseAddr(u.Hostname())
		p.passkeys = notAddress != nil
	}
	if err := p.loadAssets(templates.Static(), b); err != nil {
		return nil, err
	}
	p.brand.Name, p.brand.Contact, p.brand.Terms, p.brand.Privacy = b.Name, b.ContactURL(), b.Terms, b.Privacy
	files := templates.Pages()
	names, err := fs.Glob(files, "*.html")
	if err != nil {
		return nil, err
	}
	for _, l := range languages.All() {
		p.pages[l.Tag] = p.later(files, names, l)
	}
	return p, nil
}

// later promises each page in a language, by its name. It is parsed when it is
// asked for, and kept: all pages in all languages are more than the rest of the
// service has alive, and most are asked for by nobody.
func (p *Renderer) later(files fs.FS, names []string, l *language.Language) map[string]promise {
	layout := sync.OnceValues(func() (*template.Template, error) {
		shown := template.FuncMap{
			"brand":    func() view { return p.brand },
			"passkeys": func() bool { return p.passkeys },
			"textfile": p.textFile,
		}
		return parse(template.New("layout").Option("missingkey=error").Funcs(words(l)).Funcs(shown), files, l)
	})
	pages := make(map[string]promise)
	for _, file := range names {
		name := strings.TrimSuffix(file, ".html")
		if name == "layout" {
			continue
		}
		pages[name] = sync.OnceValues(func() (*template.Template, error) {
			frame, err := layout()
			if err == nil {
				frame, err = frame.Clone()
			}
			if err != nil {
				return nil, err
			}
			return parse(frame.New(name), files, l)
		})
	}
	return pages
}

// textFile is the address of a file that has the lines below a title: with it a
// page that is shown once hands them over without a script.
func (p *Renderer) textFile(title string, lines []string) template.URL {
	text := p.brand.Name + ": " + title + "\r\n\r\n" + strings.Join(lines, "\r\n") + "\r\n"
	return template.URL("data:text/plain;charset=utf-8," + url.PathEscape(text)) //nolint:gosec // made here, and escaped
}

func parse(into *template.Template, files fs.FS, l *language.Language) (*template.Template, error) {
	source, err := fs.ReadFile(files, into.Name()+".html")
	if err != nil {
		return nil, err
	}
	parsed, err := into.Parse(l.Template(string(source)))
	if err != nil {
		return nil, fmt.Errorf("parsing page %s in %s: %w", into.Name(), l.Name, err)
	}
	return parsed, nil
}

// Languages are those that pages speak.
func (p *Renderer) Languages() *language.Catalogue { return p.languages }

// Render answers with the named page. The page's forms may lead only to our
// own origin.
func (p *Renderer) Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	return p.render(w, r, p.language(r), status, name, policy{forms: "'self'"}, data)
}

// RenderFlow is Render for a page whose form sends the browser on, by
// redirects, to a client's redirect URI, "" for none.
func (p *Renderer) RenderFlow(w http.ResponseWriter, r *http.Request, status int, name, redirectURI string, data any) error {
	return p.render(w, r, p.language(r), status, name, policy{forms: formTargets(redirectURI), client: redirectURI != ""}, data)
}

// ConfirmLogout asks whether to end the session (OpenID Connect RP-Initiated
// Logout §2). hidden comes back with the answer, action=logout, to POST
// /logout.
func (p *Renderer) ConfirmLogout(w http.ResponseWriter, r *http.Request, clientName string, hidden map[string]string) error {
	return p.RenderFlow(w, r, http.StatusOK, "logout", hidden["post_logout_redirect_uri"], struct {
		ClientName string
		Hidden     map[string]string
	}{clientName, hidden})
}

// LoggedOut says that the session is over, lets clients hear of it in frames,
// and offers to go back as a link. To go on by itself it needs no script:
// browsers reckon the time of a Refresh from when the page has loaded, with its
// frames (HTML §4.2.5.3).
func (p *Renderer) LoggedOut(w http.ResponseWriter, r *http.Request, page oidc.LoggedOut) error {
	if page.Onward {
		w.Header().Set("Refresh", "1; url="+page.ReturnURI)
	}
	return p.render(w, r, p.language(r), http.StatusOK, "loggedout", policy{forms: "'self'", frames: origins(page.Frames)}, page)
}

// FormPost has the browser post an authorization response to the client. It writes
// nothing when it returns an error. The page's policy says nothing of forms:
// browsers would hold it against where the client redirects to, which we cannot
// know.
func (p *Renderer) FormPost(w http.ResponseWriter, r *http.Request, response oidc.FormPost) error {
	return p.render(w, r, p.language(r, response.UILocales...), http.StatusOK, "form-post", policy{client: true}, struct {
		oidc.FormPost
		Target template.URL
	}{response, template.URL(response.URI)}) //nolint:gosec // registered by the client
}

// render writes nothing when it returns an error.
func (p *Renderer) render(w http.ResponseWriter, r *http.Request, l *language.Language, status int, name string, leads policy, data any) error {
	parsed, ok := p.pages[l.Tag][name]
	if !ok {
		return fmt.Errorf("no page is called %q", name)
	}
	t, err := parsed()
	if err != nil {
		return err
	}
	f := frame{Nonce: rand.Text(), Style: p.style, Icon: p.icon, Back: here(r), Languages: p.languages.All(), Data: data}
	if t.Lookup("form-script") != nil {
		f.Scripts = append(f.Scripts, p.script.form)
	}
	if p.passkeys && t.Lookup("passkey-script") != nil {
		f.Scripts = append(f.Scripts, p.script.passkey)
	}
	if t.Lookup("post-script") != nil {
		f.Scripts = append(f.Scripts, p.script.post)
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "layout", f); err != nil {
		return fmt.Errorf("rendering page %s: %w", name, err)
	}
	p.setHeaders(w.Header(), r.URL.Path, &f, leads)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", l.Tag)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	if _, err := body.WriteTo(w); err != nil {
		web.Annotate(r.Context(), slog.String("page_error", err.Error())) // the browser is gone
	}
	return nil
}
