package oauth

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/account"
	"larder/authserver/consent"
	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/postgres"
)

const racers = 32

// rounds is LARDER_RACE_ROUNDS, 20 unless told.
func rounds(t testing.TB) int {
	t.Helper()
	told := os.Getenv("LARDER_RACE_ROUNDS")
	if told == "" {
		return 20
	}
	n, err := strconv.Atoi(told)
	if err != nil || n < 1 {
		t.Fatalf("LARDER_RACE_ROUNDS is %q", told)
	}
	return n
}

// race runs ask racers times at once.
func race(ask func() answer) []answer {
	answers := make([]answer, racers)
	var start, running sync.WaitGroup
	start.Add(1)
	for i := range answers {
		running.Go(func() {
			start.Wait()
			answers[i] = ask()
		})
	}
	start.Done()
	running.Wait()
	return answers
}

// O2: one code, 32 redemptions at once: one succeeds, and what it gave is
// revoked because the others tried.
func TestRaceForOneCode(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	browser := h.browser()
	h.signIn(browser, h.addUser("Ada").ID)
	for round := range rounds(t) {
		code := h.code(browser, spaRequest())
		var won []tokenResponse
		for _, a := range race(func() answer { return h.spaExchange(code) }) {
			switch {
			case a.status == http.StatusOK:
				won = append(won, h.tokens(a))
			case a.errorCode() != "invalid_grant":
				t.Errorf("round %d: %d %s", round, a.status, a.body)
			}
		}
		if len(won) != 1 {
			t.Fatalf("round %d: %d successes", round, len(won))
		}
		if h.live(won[0].AccessToken) {
			t.Fatalf("round %d: the replay did not revoke the access token", round)
		}
		refused(t, h.spaRefresh(won[0].RefreshToken), http.StatusBadRequest, "invalid_grant")
	}
}

// O17: one refresh token, 32 requests at once: one new member of the family,
// which all of them are given.
func TestRaceForOneRefreshToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	family, _ := h.family()
	for round := range rounds(t) {
		before, _, err := h.p.grants.find(t.Context(), family.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		successors := map[string]bool{}
		var got tokenResponse
		for _, a := range race(func() answer { return h.spaRefresh(family.RefreshToken) }) {
			got = h.tokens(a)
			successors[got.RefreshToken] = true
			if !h.live(got.AccessToken) {
				t.Errorf("round %d: an access token is not valid", round)
			}
		}
		after, _, err := h.p.grants.find(t.Context(), got.RefreshToken)
		if err != nil || len(successors) != 1 || after.Generation != before.Generation+1 {
			t.Fatalf("round %d: %d successors, generation %d after %d, %v", round, len(successors), after.Generation, before.Generation, err)
		}
		family = got
	}
}

// Past the grace the same race is reuse: nobody gets anything and the family
// dies once.
func TestRaceOfReuse(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, _ := h.family()
	second := h.tokens(h.spaRefresh(first.RefreshToken))
	h.clock.Advance(h.p.Config.RefreshGrace + 1e9)
	for _, a := range race(func() answer { return h.spaRefresh(first.RefreshToken) }) {
		refused(t, a, http.StatusBadRequest, "invalid_grant")
	}
	refused(t, h.spaRefresh(second.RefreshToken), http.StatusBadRequest, "invalid_grant")
	h.audited("refresh_token.reused", 1)
}

// Who signs out while a refresh is under way has signed out: whatever the
// refresh still gave is over, and there is no further one.
func TestRaceOfLogoutAndRefresh(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for round := range rounds(t) {
		family, login := h.family("scope", "openid lists:read")
		var start, running sync.WaitGroup
		start.Add(1)
		running.Go(func() {
			start.Wait()
			h.logOut(login)
		})
		var last tokenResponse
		running.Go(func() {
			start.Wait()
			for token := family.RefreshToken; ; token = last.RefreshToken {
				a := h.spaRefresh(token)
				if a.status != http.StatusOK {
					refused(t, a, http.StatusBadRequest, "invalid_grant")
					return
				}
				last = h.tokens(a)
			}
		})
		start.Done()
		running.Wait()
		if h.live(family.AccessToken) || last.AccessToken != "" && h.live(last.AccessToken) {
			t.Fatalf("round %d: an access token of the session lives", round)
		}
	}
}

// However long a refresh takes, what it gives is issued as of its request: a
// session that ends while it runs was ended after that, and takes it along.
func TestARefreshIsIssuedAsOfItsRequest(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	family, login := h.family("scope", "openid lists:read")
	hold, err := h.db.Owner.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hold.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := hold.Exec(t.Context(), `SELECT FROM auth.grants WHERE sid = $1 FOR UPDATE`, login.SID); err != nil {
		t.Fatal(err)
	}

	answers := make(chan answer, 1)
	go func() { answers <- h.spaRefresh(family.RefreshToken) }()
	h.db.Waits(t, 1)
	h.clock.Advance(2 * time.Minute) // longer than this takes: the session's end goes by the database's clock
	if err := hold.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := h.tokens(<-answers)
	h.logOut(login)
	if h.live(got.AccessToken) {
		t.Error("the token lives on after the session, because it was issued late")
	}
}

// Who takes back what they gave, signs out, or withdraws a consent takes along
// what a code gives that is being redeemed at the same moment.
func TestACodeUnderWayDoesNotOutliveWhatItsPersonTakesBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addSPA()
	h.addWeb()
	accounts := &account.Accounts{DB: h.db.Auth, Sessions: noSessions{}, Now: h.clock.Now}
	for name, end := range map[string]func(login oidc.Login, meanwhile func(pgx.Tx) error) error{
		"all that was given": func(login oidc.Login, meanwhile func(pgx.Tx) error) error {
			return accounts.SignOut(t.Context(), login.Subject, "password_changed", meanwhile)
		},
		"the session": func(login oidc.Login, meanwhile func(pgx.Tx) error) error {
			return postgres.InTx(t.Context(), h.db.Auth, func(tx pgx.Tx) error {
				_, _, err := h.p.revokeSession(t.Context(), tx, login.SID, "logout", h.clock.Now().Add(time.Hour))
				return errors.Join(err, meanwhile(tx))
			})
		},
	} {
		browser := h.browser()
		login := h.signIn(browser, h.addUser("Ada").ID)
		code := h.code(browser, spaRequest())
		answers := make(chan answer, 1)
		err := end(login, func(pgx.Tx) error {
			go func() { answers <- h.spaExchange(code) }()
			h.db.Waits(t, 1) // for the end of this
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		refused(t, <-answers, http.StatusBadRequest, "invalid_grant")
	}

	// The operator's own apps need no consent; those of others lose it, and may have it
	// again before they come with what was given earlier.
	h.addFridge()
	h.addPhoneLine(nil)
	browser, bea := h.browser(), h.addUser("Bea")
	h.signIn(browser, bea.ID)
	spa, web, device, asked := h.code(browser, spaRequest()), h.code(browser, webRequest()), h.askForCode(), h.ask(backchannelRequest("login_hint", bea.Email))
	h.approve(device.UserCode, bea)
	if err := h.sayYes(asked, bea); err != nil {
		t.Fatal(err)
	}
	consents := &consent.Consents{DB: h.db.Auth, Now: h.clock.Now}
	for _, clientID := range []string{"spa", "web", "fridge", "phone"} {
		if err := consents.Withdraw(t.Context(), bea.ID, clientID); err != nil {
			t.Fatal(err)
		}
		h.agrees(bea.ID, clientID)
	}
	refused(t, h.spaExchange(spa), http.StatusBadRequest, "invalid_grant")
	refused(t, h.webExchange(web), http.StatusBadRequest, "invalid_grant")
	refused(t, h.poll(device.DeviceCode), http.StatusBadRequest, "invalid_grant")
	refused(t, h.pollBackchannel(asked), http.StatusBadRequest, "invalid_grant")
	h.clock.Advance(time.Hour) // past the withdrawal, which goes by the database's clock
	h.tokens(h.spaExchange(h.code(browser, spaRequest())))
	h.tokens(h.webExchange(h.code(browser, webRequest())))
}

// noSessions has nobody signed in.
type noSessions struct{ account.SessionEnder }

func (noSessions) EndUser(context.Context, id.ID) (int, error) { return 0, nil }
