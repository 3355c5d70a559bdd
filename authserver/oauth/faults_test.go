package oauth

import (
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// breakDatabase points the provider at a port where no PostgreSQL listens, and
// returns how to mend it.
func (h *harness) breakDatabase() (mend func()) {
	h.t.Helper()
	dead, err := pgxpool.New(h.t.Context(), "postgres://nobody@127.0.0.1:1/none?sslmode=disable&connect_timeout=2")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(dead.Close)
	good := h.p.grants.db
	h.p.grants.db = dead
	return func() { h.p.grants.db = good }
}

func (h *harness) breakRedis() (mend func()) {
	h.t.Helper()
	dead := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", DialTimeout: time.Second, MaxRetries: -1})
	h.t.Cleanup(func() { _ = dead.Close() })
	good := h.p.Redis
	h.p.Redis, h.p.codes.redis = dead, dead
	return func() { h.p.Redis, h.p.codes.redis = good, good }
}

func unavailable(t testing.TB, a answer) {
	t.Helper()
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q, body %s; want 503", a.status, a.header.Get("Retry-After"), a.body)
	}
}

// I1: without Postgres a refresh is a 503 and the family is as it was.
func TestRefreshWithoutPostgresLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, _ := h.family()
	mend := h.breakDatabase()
	unavailable(t, h.spaRefresh(first.RefreshToken))
	mend()
	h.clock.Advance(time.Hour)
	h.tokens(h.spaRefresh(first.RefreshToken))
}

// A code that met a broken database may be presented again.
func TestCodeExchangeWithoutPostgresLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code := h.code(browser, spaRequest())
	mend := h.breakDatabase()
	unavailable(t, h.spaExchange(code))
	mend()
	got := h.tokens(h.spaExchange(code))
	refused(t, h.spaExchange(code), http.StatusBadRequest, "invalid_grant")
	if h.live(got.AccessToken) {
		t.Error("the replay did not revoke")
	}
}

// fosite answers invalid_grant though the revocation of a replay failed; that
// would leave the thief's tokens alive and nobody told.
func TestReplayThatCannotRevokeIsNotAnsweredAsIfItHad(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code := h.code(browser, spaRequest())
	got := h.tokens(h.spaExchange(code))
	mend := h.breakDatabase()
	unavailable(t, h.spaExchange(code))
	mend()
	refused(t, h.spaExchange(code), http.StatusBadRequest, "invalid_grant")
	if h.live(got.AccessToken) {
		t.Error("the access token lives on")
	}
}

func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	h.addMachine()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	code := h.code(browser, spaRequest())
	family, _ := h.family()
	mend := h.breakRedis()
	unavailable(t, h.authorize(browser, spaRequest()))
	unavailable(t, h.spaExchange(code))
	h.tokens(h.spaRefresh(family.RefreshToken))
	h.tokens(h.post("/token", map[string][]string{"grant_type": {"client_credentials"}}, "machine", "machine-secret"))
	mend()
	h.tokens(h.spaExchange(code))
}
