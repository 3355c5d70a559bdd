package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
)

// serve answers one request through an observed router with one route.
func serve(t *testing.T, log io.Writer, h web.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	rt := web.NewRouter(web.Problem)
	rt.Handle(http.MethodPost, "/things/{id}", h)
	o := web.Observer{Log: slog.New(slog.NewJSONHandler(log, nil)), Now: time.Now, Report: web.Problem}
	w := httptest.NewRecorder()
	o.Wrap(rt, prometheus.NewRegistry()).ServeHTTP(w, r)
	return w
}

func post(t *testing.T, path, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestOneEventTellsARequestsStory(t *testing.T) {
	var log bytes.Buffer
	r := post(t, "/things/7", "")
	r.Header.Set(web.RequestIDHeader, "caller-id-1")
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	w := serve(t, &log, func(_ http.ResponseWriter, r *http.Request) error {
		web.Annotate(r.Context(), slog.String("thing", web.Var(r, "id")))
		return fault.Wrap(fault.Conflict, "It is taken.", errors.New("the cause"))
	}, r)

	var event map[string]any
	if err := json.Unmarshal(log.Bytes(), &event); err != nil {
		t.Fatalf("want exactly one JSON event, got %q: %v", log.String(), err)
	}
	for key, want := range map[string]any{
		"request_id": "caller-id-1", "trace_id": "0af7651916cd43dd8448eb211c80319c", "route": "/things/{id}",
		"status": float64(409), "thing": "7", "error": "It is taken.: the cause",
	} {
		if event[key] != want {
			t.Errorf("event[%q] = %v, want %v", key, event[key], want)
		}
	}
	if w.Header().Get(web.RequestIDHeader) != "caller-id-1" {
		t.Errorf("the answer carries request id %q", w.Header().Get(web.RequestIDHeader))
	}
	if strings.Contains(w.Body.String(), "the cause") {
		t.Errorf("the cause was shown: %s", w.Body)
	}
}

func TestARequestIDThatCouldForgeALogLineIsReplaced(t *testing.T) {
	for _, bad := range []string{"short", "has spaces in it", "line\nbreak-line", strings.Repeat("x", 65), `quote"quote"`} {
		r := post(t, "/things/7", "")
		r.Header[web.RequestIDHeader] = []string{bad}
		w := serve(t, io.Discard, func(http.ResponseWriter, *http.Request) error { return nil }, r)
		if got := w.Header().Get(web.RequestIDHeader); got == bad || len(got) < 20 {
			t.Errorf("request id %q was answered with %q", bad, got)
		}
	}
}

func TestAPanicIsABare500(t *testing.T) {
	var log bytes.Buffer
	w := serve(t, &log, func(http.ResponseWriter, *http.Request) error { panic("boom with a password") }, post(t, "/things/7", ""))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "boom") {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "stack") {
		t.Errorf("the log does not say what happened: %s", log.String())
	}
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         int
	}{{http.MethodPost, "/nothing", 404}, {http.MethodGet, "/things/7", 405}, {http.MethodDelete, "/things/7", 405}, {http.MethodPost, "//things/7", 404}} {
		w := serve(t, io.Discard, nil, httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil))
		if w.Code != c.want || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Header().Get("Content-Type"))
		}
		if allow := w.Header().Get("Allow"); c.want == http.StatusMethodNotAllowed && allow != http.MethodPost {
			t.Errorf("%s %s allows %q, want POST", c.method, c.path, allow)
		}
	}
}

func TestAWrongMethodIsRefusedInTheWordsOfItsSurface(t *testing.T) {
	rt := web.NewRouter(web.Problem)
	rt.With(func(w http.ResponseWriter, _ *http.Request, err error) {
		w.WriteHeader(web.Status(err))
		_, _ = io.WriteString(w, "another surface")
	}).Handle(http.MethodPost, "/token", func(http.ResponseWriter, *http.Request) error { return nil })
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/token", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Body.String() != "another surface" {
		t.Errorf("GET /token: %d %s", w.Code, w.Body)
	}
}

func TestDecodeJSONRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for name, c := range map[string]struct {
		media, body string
		want        fault.Kind
	}{
		"form":          {"application/x-www-form-urlencoded", `{"name":"x"}`, fault.UnsupportedMedia},
		"no type":       {"", `{"name":"x"}`, fault.UnsupportedMedia},
		"empty":         {"application/json", ``, fault.Invalid},
		"null":          {"application/json", " null\n", fault.Invalid},
		"half":          {"application/json", `{"name":`, fault.Invalid},
		"wrong type":    {"application/json", `{"name":7}`, fault.Invalid},
		"unknown":       {"application/json", `{"name":"x","role":"admin"}`, fault.Invalid},
		"two values":    {"application/json", `{"name":"x"}{"name":"y"}`, fault.Invalid},
		"deep":          {"application/json", strings.Repeat(`[`, 100_000), fault.Invalid},
		"deep in a key": {"application/json", `{"x":` + strings.Repeat(`{"x":`, 40) + `1` + strings.Repeat(`}`, 41), fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			r := post(t, "/things/7", c.body)
			r.Header.Set("Content-Type", c.media)
			var v struct {
				Name string `json:"name"`
			}
			if err := web.DecodeJSON(r, &v); fault.KindOf(err) != c.want || err == nil {
				t.Errorf("DecodeJSON: %v, want kind %v", err, c.want)
			}
		})
	}
	compressed := post(t, "/", `{"name":"x"}`)
	compressed.Header.Set("Content-Encoding", "gzip")
	if err := web.DecodeJSON(compressed, &struct{}{}); !fault.Is(err, fault.UnsupportedMedia) {
		t.Errorf("a compressed body: %v", err)
	}
	var v struct {
		Name string `json:"name"`
	}
	if err := web.DecodeJSON(post(t, "/", `{"name":"brackets [[[ in \" a string"}`), &v); err != nil || !strings.HasPrefix(v.Name, "brackets") {
		t.Errorf("a plain body: %q, %v", v.Name, err)
	}
}

// TestAFaultOfTheBodySaysWhereItIs: with a pointer to the innermost part, in the
// words of JSON and not of Go.
func TestAFaultOfTheBodySaysWhereItIs(t *testing.T) {
	type part struct {
		ID    id.ID               `json:"id"`
		Verbs []string            `json:"verbs"`
		Count valid.Field[int]    `json:"count"`
		At    *time.Time          `json:"at"`
		Names map[string]string   `json:"names"`
		More  []map[string]*part  `json:"more"`
		Size  valid.Field[[]part] `json:"size"`
	}
	for body, want := range map[string]fault.Field{
		`[]`:                                       {Pointer: "", Detail: "must be an object"},
		`[{"verbs":[]}]`:                           {Pointer: "", Detail: "must be an object"},
		`{"verbs":{"a":true}}`:                     {Pointer: "/verbs", Detail: "must be an array"},
		`{"id":"7"}`:                               {Pointer: "/id", Detail: "must be a UUID"},
		`{"id":7}`:                                 {Pointer: "/id", Detail: "must be a string"},
		`{"verbs":"view"}`:                         {Pointer: "/verbs", Detail: "must be an array"},
		`{"verbs":["view",true]}`:                  {Pointer: "/verbs/1", Detail: "must be a string"},
		`{"count":1.5}`:                            {Pointer: "/count", Detail: "must be a whole number"},
		`{"count":1e400}`:                          {Pointer: "/count", Detail: "must be a whole number"},
		`{"at":"tomorrow"}`:                        {Pointer: "/at", Detail: "must be a time such as 2026-11-30T18:00:00Z"},
		`{"names":{"a/b":"c","d~":1}}`:             {Pointer: "/names/d~0", Detail: "must be a string"},
		`{"more":[{},{"x":{"extra":1}}]}`:          {Pointer: "/more/1/x/extra", Detail: "unknown member"},
		`{"size":[{"id":"7"}]}`:                    {Pointer: "/size/0/id", Detail: "must be a UUID"},
		`{"size":[{"extra":"7"}]}`:                 {Pointer: "/size/0/extra", Detail: "unknown member"},
		`{"more":[{"x":{"verbs":[],"verbs":[]}}]}`: {Pointer: "/more/0/x/verbs", Detail: "stands there twice"},
		`{"more":[{"x":{"Verbs":[]}}]}`:            {Pointer: "/more/0/x/Verbs", Detail: "unknown member"},
		`{"\u017fize":[]}`:                         {Pointer: "/\u017fize", Detail: "unknown member"},
	} {
		err := web.ReadJSON([]byte(body), &part{})
		told, ok := errors.AsType[*fault.Error](err)
		if !ok || told.Kind != fault.Invalid || len(told.Fields) != 1 || told.Fields[0] != want {
			t.Errorf("%s: %v, want %v", body, told, want)
		}
	}
	large := `{"verbs":["` + strings.Repeat("x", 300<<10) + `"],"count":true}`
	if err := web.ReadJSON([]byte(large), &part{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a large one: %v", err)
	}
	if err := web.ReadJSON([]byte(`{"names":{"x5t#S256":"of a JWK (RFC 7517 §4.9)"}}`), &part{}); err != nil {
		t.Errorf("a name that no member of ours resembles: %v", err)
	}
	if err := web.ReadOpenJSON([]byte(`{"Verbs":["view"],"extra":{"A":1,"a":2}}`), &part{}); err != nil {
		t.Errorf("an open one: %v", err)
	}
}

func TestADrainingServerFinishesWhatItBegan(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	begun, finish := make(chan struct{}), make(chan struct{})
	rt := web.NewRouter(web.Problem)
	rt.Handle(http.MethodGet, "/slow", func(w http.ResponseWriter, _ *http.Request) error {
		close(begun)
		<-finish
		return web.JSON(w, http.StatusOK, "done")
	})
	bound := make(chan net.Addr, 1)
	served := make(chan error, 1)
	go func() {
		served <- web.Serve(ctx, slog.New(slog.NewTextHandler(t.Output(), nil)),
			[]web.Listener{{Name: "test", Addr: "127.0.0.1:0", Handler: rt}}, func(a []net.Addr) { bound <- a[0] })
	}()
	url := "http://" + (<-bound).String() + "/slow"

	answer := make(chan string, 1)
	go func() {
		req, _ := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, url, nil)
		resp, err := new(http.Client).Do(req)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		answer <- string(b)
	}()
	<-begun
	stop()
	time.Sleep(50 * time.Millisecond)
	close(finish)
	if got := <-answer; got != `"done"` {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestABodyOverTheLimitIs413(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	rt := web.NewRouter(web.Problem)
	rt.Handle(http.MethodPost, "/", func(_ http.ResponseWriter, r *http.Request) error {
		var v any
		return web.DecodeJSON(r, &v)
	})
	bound := make(chan net.Addr, 1)
	go func() {
		_ = web.Serve(ctx, slog.New(slog.DiscardHandler),
			[]web.Listener{{Name: "test", Addr: "127.0.0.1:0", Handler: rt}}, func(a []net.Addr) { bound <- a[0] })
	}()
	body := strings.NewReader(`"` + strings.Repeat("x", 2<<20) + `"`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+(<-bound).String()+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("a 2 MiB body got %d", resp.StatusCode)
	}
}

// What is no JSON is refused wherever it breaks off, and soon.
func TestABodyThatIsNoJSONIsRefused(t *testing.T) {
	for _, body := range []string{``, `{`, `[`, `[[{`, `[{"a"`, `{"a"`, `{"a":`, `{"a":[1,`, `[}`, `{"a":]`, `[1,}`, `[[]`, `{"a":{}`, `[01]`, `{1:2}`, `[tru]`} {
		if err := web.ReadOpenJSON([]byte(body), &map[string]any{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	for _, body := range []string{`{"a":[1,{"b":null}]}`, `[[{`, `{"a":1,"a":2}`, `{"A":1}`, `{"a":"\u017f"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var v struct {
			A []struct{ B *string }
		}
		if err := web.ReadJSON(body, &v); err == nil && !json.Valid(body) {
			t.Errorf("%q was taken", body)
		}
	})
}
