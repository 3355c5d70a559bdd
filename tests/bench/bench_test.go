package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"larder/internal/pgtest"
)

// server answers like the services do: with a length, in chunks, with nothing, and in two steps.
func server(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sized", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	mux.HandleFunc("GET /chunked", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 5000))
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("DELETE /empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://rp.example/cb?code=abc&state=s", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		var n int
		if _, err := fmt.Sscanf(r.FormValue("refresh_token"), "token-%d", &n); err != nil && r.FormValue("code") != "abc" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"refresh_token": fmt.Sprintf("token-%d", n+1)})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return host(s.URL)
}

func TestConnectionReadsEveryFormOfAnswer(t *testing.T) {
	t.Parallel()
	at := server(t)
	c, err := dial(t.Context(), at, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, want := range []struct {
		method, path string
		status, size int
	}{
		{http.MethodGet, "/sized", 200, 5},
		{http.MethodGet, "/chunked", 200, 15000},
		{http.MethodDelete, "/empty", 204, 0},
		{http.MethodGet, "/nowhere", 404, 19},
		{http.MethodGet, "/sized", 200, 5},
	} {
		got, err := c.roundTrip(message(want.method, at, want.path, ""))
		if err != nil || got.status != want.status || len(got.body) != want.size {
			t.Errorf("%s %s: got %d with %d bytes, %v; want %d with %d",
				want.method, want.path, got.status, len(got.body), err, want.status, want.size)
		}
	}
}

func TestLoadRotatesAndRedeems(t *testing.T) {
	t.Parallel()
	at := server(t)
	post := head(http.MethodPost, at, "/token", form)
	jobs := []job{
		{Scripts: []script{{Post: post, Form: []byte("refresh_token="), Token: "token-1"}}},
		{Scripts: []script{{Authorize: get(at, "/authorize"), Post: post, Form: []byte("code=")}}},
		{Scripts: []script{{Requests: [][]byte{get(at, "/nowhere")}}}},
	}
	var in, out bytes.Buffer
	for _, j := range jobs {
		j.Addr, j.Connections, j.Measure = at, 2, 500*time.Millisecond
		if err := json.NewEncoder(&in).Encode(j); err != nil {
			t.Fatal(err)
		}
	}
	if err := serveLoad(t.Context(), &in, &out, time.Now); err != nil {
		t.Fatal(err)
	}
	var results []result
	for line := range strings.Lines(out.String()) {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	if got := results[0]; got.Error != "" || got.Latencies.count() == 0 || got.Scripts[0].Token == "token-1" {
		t.Errorf("rotation: %d operations, token %q, error %q", got.Latencies.count(), got.Scripts[0].Token, got.Error)
	}
	if got := results[1]; got.Error != "" || got.Latencies.count() == 0 {
		t.Errorf("code flow: %d operations, error %q", got.Latencies.count(), got.Error)
	}
	if got := results[2]; !strings.Contains(got.Error, "404") || !strings.Contains(got.Error, "page not found") {
		t.Errorf("an answer that is no 2xx has to end the run with its body; error %q", got.Error)
	}
}

func TestHistogramKeepsQuantiles(t *testing.T) {
	t.Parallel()
	h := newHistogram()
	for ms := 1; ms <= 1000; ms++ {
		h.add(time.Duration(ms) * time.Millisecond)
	}
	for q, want := range map[float64]float64{0.5: 500, 0.99: 990, 1: 1000} {
		if got := h.quantile(q); math.Abs(got-want) > want*0.011 {
			t.Errorf("quantile %v: got %v ms, want %v within 1 %%", q, got, want)
		}
	}
}

// wantTokens looks for so many tokens in a token response, one of them signed.
func wantTokens(count int) func(*testing.T, []byte) {
	return func(t *testing.T, body []byte) {
		t.Helper()
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		tokens := 0
		for _, name := range []string{"access_token", "id_token", "refresh_token"} {
			if got[name] != nil {
				tokens++
			}
		}
		access, _ := got["access_token"].(string)
		if tokens != count || strings.Count(access, ".") != 2 {
			t.Errorf("%d tokens in %s, want %d", tokens, body, count)
		}
	}
}

func TestLimitHandlersWork(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := db.Owner.Exec(t.Context(), limitTables); err != nil {
		t.Fatal(err)
	}
	answers := map[string]limitAnswer{}
	for _, path := range []string{pathDiscovery, pathJWKS, pathIntrospection, pathVerify, pathSign, pathRotate, pathList, pathInsert} {
		answers[path] = limitAnswer{Size: 700, Header: http.Header{"X-Own": {"a", "b"}, "Content-Length": {"3"}}}
	}
	l, err := newLimit(t.Context(), limitConfig{DatabaseURL: db.OwnerURL, Answers: answers}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer l.pool.Close()
	computed := map[string]func(*testing.T, []byte){
		pathSign:   wantTokens(1),
		pathRotate: wantTokens(3),
		pathList: func(t *testing.T, body []byte) {
			t.Helper()
			var page limitPage
			if err := json.Unmarshal(body, &page); err != nil || len(page.Items) != listSize || page.Items[49].Name != "Item 50" {
				t.Errorf("the page of %d items is %.200s; %v", len(page.Items), body, err)
			}
		},
	}
	for path := range answers {
		target := path
		if path == pathRotate {
			target += "3"
		}
		w := httptest.NewRecorder()
		l.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, http.NoBody))
		if check := computed[path]; check != nil {
			check(t, w.Body.Bytes())
		} else if w.Code != http.StatusOK || w.Body.Len() != 700 || len(w.Header()["X-Own"]) != 2 {
			t.Errorf("%s: got %d with %d bytes: %s", target, w.Code, w.Body.Len(), w.Body)
		}
	}
	var generation, changes int
	err = db.Owner.QueryRow(t.Context(), `SELECT generation, (SELECT count(*) FROM limits.changes) FROM limits.families WHERE id = 3`).
		Scan(&generation, &changes)
	if err != nil || generation != 1 || changes != 1 {
		t.Errorf("generation %d and %d changes, want 1 and 1; %v", generation, changes, err)
	}
}
