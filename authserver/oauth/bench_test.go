package oauth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkTokenClientCredentials is the whole handler without the network.
func BenchmarkTokenClientCredentials(b *testing.B) {
	h := newHarness(b)
	h.addMachine()
	const body = "grant_type=client_credentials&scope=lists%3Aread"
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/token", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("machine", "machine-secret")
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// BenchmarkSign is the part of it that nothing can save: one signature.
func BenchmarkSign(b *testing.B) {
	h := newHarness(b)
	payload := []byte(strings.Repeat("x", 300))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.keys.Sign(b.Context(), es256, accessTokenType, payload); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTokenRefresh is a rotation without the network between client and server.
func BenchmarkTokenRefresh(b *testing.B) {
	h := newHarness(b)
	first, _ := h.family()
	token := first.RefreshToken
	b.ReportAllocs()
	for b.Loop() {
		body := "grant_type=refresh_token&client_id=spa&refresh_token=" + token
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/token", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		var answer tokenResponse
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
		token = answer.RefreshToken
	}
}
