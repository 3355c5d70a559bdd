package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"larder/authserver/holder"
)

// keeper is an API that holds data of people, as far as we talk to one.
type keeper struct {
	*httptest.Server

	mu     sync.Mutex
	away   int // answers 503 so many times
	forgot []string
	tokens []map[string]any
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/erasures", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			UserID string `json:"user_id"`
		}
		body, _ := io.ReadAll(r.Body)
		if json.Unmarshal(body, &asked) != nil || !k.admit(w, r) {
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.forgot = append(k.forgot, asked.UserID)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /v1/me/export", func(w http.ResponseWriter, r *http.Request) {
		if k.admit(w, r) {
			_, _ = w.Write([]byte(`{"families":["the Bakers"]}`))
		}
	})
	mux.HandleFunc("GET /v1/families", func(w http.ResponseWriter, r *http.Request) {
		if k.admit(w, r) {
			_, _ = w.Write([]byte(`{"families":[{"id":"` + bakers + `","name":"The Bakers","role":"member"},{"id":"` + club + `","name":"The Club","role":"member"}]}`))
		}
	})
	k.Server = httptest.NewServer(mux)
	t.Cleanup(k.Close)
	return k
}

// admit notes the claims of the token, unless the API is away.
func (k *keeper) admit(w http.ResponseWriter, r *http.Request) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.away > 0 {
		k.away--
		w.WriteHeader(http.StatusServiceUnavailable)
		return false
	}
	var claims map[string]any
	token, err := jwt.ParseSigned(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), []jose.SignatureAlgorithm{jose.ES256})
	if err == nil {
		err = token.UnsafeClaimsWithoutVerification(&claims)
	}
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return false
	}
	k.tokens = append(k.tokens, claims)
	return true
}

// heard waits until the API has been asked to forget so many times.
func (k *keeper) heard(t *testing.T, n int) []string {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		k.mu.Lock()
		all := append([]string(nil), k.forgot...)
		k.mu.Unlock()
		if len(all) >= n {
			return all
		}
	}
	t.Fatalf("the API was not asked %d times", n)
	return nil
}

func (k *keeper) lastToken() map[string]any {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tokens[len(k.tokens)-1]
}

func TestAPIsTellAndForget(t *testing.T) {
	k := newKeeper(t)
	mails := filepath.Join(t.TempDir(), "mail")
	world := newWorld(t)
	world = world.with("AUTHSERVER_MAIL_DIR", mails, "AUTHSERVER_DATA_HOLDERS", testAPI+"="+k.URL)
	w := &town{world: world, mails: mails, replicas: []*running{world.startReady(t), world.startReady(t)}, read: make(map[string]bool)}
	v := w.join(t, "nina@example.com")
	v.expect(v.signIn("nina@example.com", testPassword), 303, "")

	got := v.expect(v.press("/account/privacy", "download", "password", testPassword), 200, "the Bakers")
	var document struct {
		Account struct{ ID string }
		APIs    []struct{ API, Problem string }
	}
	if err := json.Unmarshal([]byte(got.Body), &document); err != nil || len(document.APIs) != 1 || document.APIs[0].API != testAPI {
		t.Fatalf("the download, %v: %s", err, got.Body)
	}
	nina, issuer := document.Account.ID, "http://localhost:9000"
	c := k.lastToken()
	if scope, ok := c["scope"].(string); !ok || strings.Contains(scope, "erase") || c["sub"] != nina || c["client_id"] != issuer || c["aud"] != testAPI {
		t.Errorf("the token of the download: %v", c)
	}
	k.mu.Lock()
	k.away = 1
	k.mu.Unlock()
	v.expect(v.press("/account/privacy", "download", "password", testPassword), 200, "did not answer")

	k.mu.Lock()
	k.away = 1 // an API that is away hears of it later
	k.mu.Unlock()
	v.expect(v.press("/account/privacy", "delete", "password", testPassword), 200, "will be deleted")
	if _, err := w.db.Owner.Exec(t.Context(), `UPDATE auth.users SET delete_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	w.sweepLeavers(t)
	if forgot := k.heard(t, 1); forgot[0] != nina {
		t.Errorf("the API was asked to forget %v, want %s", forgot, nina)
	}
	if c := k.lastToken(); c["sub"] != issuer || c["client_id"] != issuer || c["scope"] != "people:erase" {
		t.Errorf("the token of the erasure: %v", c)
	}
	var journal []holder.Erasure
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		w.must(t, &journal, "", "erasure", "list")
		if len(journal) == 1 && len(journal[0].Waiting) == 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(journal) != 1 || journal[0].UserID.String() != nina || len(journal[0].Waiting) != 0 {
		t.Fatalf("the journal is %+v", journal)
	}

	// A backup brings the account back, and the journal is lost with it.
	if _, err := w.db.Owner.Exec(t.Context(), `INSERT INTO auth.users (id, name) VALUES ($1, 'Nina')`, nina); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Owner.Exec(t.Context(), `DELETE FROM auth.erasures`); err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(journal)
	if err != nil {
		t.Fatal(err)
	}
	var replayed map[string]int
	w.must(t, &replayed, string(kept), "erasure", "replay")
	if replayed["erased"] != 1 || replayed["were_back"] != 1 {
		t.Errorf("the replay: %v", replayed)
	}
	if n := w.count(t, `SELECT count(*) FROM auth.users WHERE delete_at <= now()`); n != 1 {
		t.Error("the account that is back is not due")
	}
	k.heard(t, 2)
	if _, _, err := w.run(t, `[{"user_id":"00000000-0000-0000-0000-000000000000"}]`, "erasure", "replay"); err == nil {
		t.Error("a journal without ids is taken")
	}
}
