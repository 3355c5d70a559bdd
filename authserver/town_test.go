package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	testPassword  = "seven quiet herons at dusk"
	otherPassword = "a bicycle made of cinnamon"
)

// town is a world whose mail lands in a folder, with two replicas.
type town struct {
	*world
	mails    string
	replicas []*running
	read     map[string]bool // mails that a test has looked at
}

func newTown(t *testing.T) *town {
	t.Helper()
	mails := filepath.Join(t.TempDir(), "mail")
	w := newWorld(t).with("AUTHSERVER_MAIL_DIR", mails)
	return &town{world: w, mails: mails, replicas: []*running{w.startReady(t), w.startReady(t)}, read: make(map[string]bool)}
}

// startReady waits until the replica may answer: migrations and keys are there.
func (w *world) startReady(t *testing.T) *running {
	t.Helper()
	s := w.start(t)
	s.waitFor(t, "/readyz", http.StatusOK)
	return s
}

// letter is a mail as its reader sees it.
type letter struct {
	to, subject, text string
	links             []string // paths of our own links, each once
}

// files lists the mails, oldest first.
func (w *town) files() []string {
	files, _ := filepath.Glob(filepath.Join(w.mails, "*.eml")) // the pattern is well formed
	return files
}

// newSignIn begins the subject of mails that most tests cause and do not mean.
const newSignIn = "New sign-in"

// mail waits for the next mail that was not read yet, save of new sign-ins.
func (w *town) mail(t *testing.T, to string) letter {
	t.Helper()
	return w.next(t, to, func(l letter) bool { return !strings.HasPrefix(l.subject, newSignIn) })
}

func (w *town) next(t *testing.T, to string, meant func(letter) bool) letter {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, file := range w.files() {
			if l := w.open(t, file); !w.read[file] && meant(l) && strings.Contains(strings.ToLower(l.to), strings.ToLower(to)) {
				w.read[file] = true
				return l
			}
		}
	}
	t.Fatalf("no mail came for %s", to)
	return letter{}
}

// quiet fails the test if a mail for somebody comes within a while.
func (w *town) quiet(t *testing.T, to string) {
	t.Helper()
	time.Sleep(1500 * time.Millisecond)
	for _, file := range w.files() {
		if l := w.open(t, file); !w.read[file] && !strings.HasPrefix(l.subject, newSignIn) && strings.Contains(l.to, to) {
			t.Errorf("a mail came: %s", l.subject)
		}
	}
}

func (w *town) open(t *testing.T, file string) letter {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	header := func(name string) string {
		found := regexp.MustCompile(`(?m)^` + name + `: (.*)\r$`).FindStringSubmatch(string(raw))
		if found == nil {
			return ""
		}
		return found[1]
	}
	l := letter{to: header("To"), subject: header("Subject"), text: string(raw)}
	for _, link := range regexp.MustCompile(`https?://[^\s"<>]+`).FindAllString(l.text, -1) {
		path, ours := strings.CutPrefix(link, w.env["AUTHSERVER_ISSUER"])
		if !ours {
			t.Errorf("the mail %q leads to %s", l.subject, link)
		}
		if !slices.Contains(l.links, path) {
			l.links = append(l.links, path)
		}
	}
	return l
}

// link waits for a mail and returns the one link in it.
func (w *town) link(t *testing.T, to string) string {
	t.Helper()
	l := w.mail(t, to)
	if len(l.links) != 1 {
		t.Fatalf("the mail %q has the links %q, want one", l.subject, l.links)
	}
	return l.links[0]
}

// visitor is a browser that keeps cookies and follows no redirect.
type visitor struct {
	t *testing.T
	http.Client
	replica *running
	header  http.Header
}

func (w *town) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, replica: w.replicas[0], Client: http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (v *visitor) send(method, path string, form url.Values) answer {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.replica.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range v.header {
		r.Header[name] = values
		if name == "Host" {
			r.Host = values[0]
		}
	}
	res, err := v.Do(r)
	if err != nil {
		v.t.Error(err)
		return answer{}
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Error(err)
	}
	return answer{StatusCode: res.StatusCode, Status: res.Status, Header: res.Header, Body: string(raw)}
}

func (v *visitor) get(path string) answer { v.t.Helper(); return v.send(http.MethodGet, path, nil) }

// press posts a form, whose fields come as name, value pairs.
func (v *visitor) press(path, action string, fields ...string) answer {
	v.t.Helper()
	form := url.Values{"action": {action}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return v.send(http.MethodPost, path, form)
}

func (v *visitor) expect(got answer, status int, text string) answer {
	v.t.Helper()
	if got.StatusCode != status || !strings.Contains(got.Body+got.Header.Get("Location"), text) {
		v.t.Fatalf("got %s (to %q), want %d with %q:\n%s", got.Status, got.Header.Get("Location"), status, text, got.Body)
	}
	return got
}

// join registers a person and verifies the address.
func (w *town) join(t *testing.T, email string) *visitor {
	t.Helper()
	v := w.visitor(t)
	v.expect(v.press("/register", "register", "name", "Nina Novak", "email", email, "password", testPassword), 200, "Look into your mail")
	v.expect(v.press(w.link(t, email), "verify"), 200, "Your account is ready")
	return v
}

func (v *visitor) signIn(email, password string) answer {
	v.t.Helper()
	return v.press("/login", "login", "email", email, "password", password)
}

// count is a number that the database knows.
func (w *world) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	if err := w.db.Owner.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
