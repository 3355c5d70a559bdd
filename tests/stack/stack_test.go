package stack

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"larder/internal/pgtest"
)

func TestALineIsCutFrozenAndMended(t *testing.T) {
	t.Parallel()
	address := pgtest.RedisURL(t)
	line, err := lineTo(t.Context(), &address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(line.Close)
	options, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries, options.ContextTimeoutEnabled = -1, true
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	ping := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return client.Ping(ctx).Err()
	}
	for _, step := range []struct {
		name string
		do   func()
		up   bool
	}{
		{"at first", func() {}, true},
		{"cut", line.Cut, false},
		{"mended", line.Mend, true},
		{"frozen", line.Freeze, false},
		{"mended again", line.Mend, true},
		{"deaf", line.Deafen, false},
		{"mended for good", line.Mend, true},
	} {
		step.do()
		patience := 500 * time.Millisecond // what is down stays so
		if step.up {
			patience = 20 * time.Second
		}
		if err := ping(patience); (err == nil) != step.up {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}

func TestAFrontSharesOut(t *testing.T) {
	t.Parallel()
	front, err := NewFront(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Close() })
	asked := make(map[string]int)
	ask := func() int {
		resp, err := send(t.Context(), http.MethodGet, front.URL+"/x", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		asked[string(resp.Body)]++
		return resp.Status
	}
	if got := ask(); got != http.StatusBadGateway {
		t.Errorf("without replicas: %d", got)
	}
	var replicas []string
	for _, name := range []string{"one", "two"} {
		replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if "http://"+r.Host != front.URL {
				t.Errorf("the replica sees host %s", r.Host)
			}
			_, _ = w.Write([]byte(name))
		}))
		t.Cleanup(replica.Close)
		replicas = append(replicas, replica.URL)
		if err := front.Add(replica.URL); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		ask()
	}
	front.Remove(replicas[0])
	for range 2 {
		ask()
	}
	if asked["one"] != 3 || asked["two"] != 5 {
		t.Errorf("requests were shared out like this: %v", asked)
	}
}

func TestABrowserReadsFormsAndLeaves(t *testing.T) {
	t.Parallel()
	var posted url.Values
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes"})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<title>Sign  in</title><div role="alert"><p>Wrong.</p></div>
			<form method="post" action="/login"><input type="hidden" name="flow" value="f&amp;1"><input name="email">
			<input type="checkbox" name="stay" value="on"><button name="action" value="login">Go</button></form>`))
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		posted = r.PostForm
		if _, err := r.Cookie("seen"); err != nil || r.Header.Get("Origin") == "" {
			t.Errorf("cookie %v, origin %q", err, r.Header.Get("Origin"))
		}
		http.Redirect(w, r, "/next", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /next", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://rp.example/callback?code=c", http.StatusSeeOther)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	b := (&Stack{Issuer: server.URL}).NewBrowser()
	page, err := b.Open(t.Context(), "/login")
	if err != nil {
		t.Fatal(err)
	}
	if page.Title != "Sign in" || page.Alert != "Wrong." || !page.Has("login") || page.Has("allow") {
		t.Errorf("the page is read as %+v", page)
	}
	if _, err := b.Press(t.Context(), page, "login", "surname", "x"); err == nil {
		t.Error("an input that is not there was filled in")
	}
	page, err = b.Press(t.Context(), page, "login", "email", "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if page.Left == nil || page.Left.Query().Get("code") != "c" {
		t.Errorf("the browser was sent to %v", page.Left)
	}
	want := url.Values{"flow": {"f&1"}, "email": {"ada@example.com"}, "action": {"login"}}
	if posted.Encode() != want.Encode() {
		t.Errorf("posted %v, want %v", posted, want)
	}
}

func TestFindWalksJSON(t *testing.T) {
	t.Parallel()
	r := Response{Body: []byte(`{"items":[{"name":"Milk","n":2,"checked":false}],"next":null}`)}
	for path, want := range map[string]string{
		".items.0.name": "Milk", ".items.length": "1", ".items.0.n": "2", ".items.0.checked": "false", ".next": "null",
	} {
		if got, err := r.Find(path); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", path, got, err, want)
		}
	}
	for _, path := range []string{".items.1.name", ".nothing", ".items.0.name.more", ".items.x"} {
		if got, err := r.Find(path); err == nil {
			t.Errorf("%s is %q, but it is not there", path, got)
		}
	}
}
