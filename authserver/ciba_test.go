package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// notified is what a client's notification endpoint was told.
type notified struct{ authorization, contentType, body string }

// A client asks a person whom it names, by way of two replicas: the person gets a
// mail, sees who asks, and answers; the client is pinged and gets its tokens once.
func TestAClientAsksAPersonElsewhere(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	const email = "nina@example.com"
	pings := make(chan notified, 10)
	var failed sync.Once
	endpoint := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		status := http.StatusNoContent
		failed.Do(func() { status = http.StatusServiceUnavailable }) // the first time: it is tried again
		body, _ := io.ReadAll(r.Body)
		if status == http.StatusNoContent {
			pings <- notified{r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)}
		}
		rw.WriteHeader(status)
	}))
	defer endpoint.Close()
	type party struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	var phone, bell party
	w.must(t, &phone, "", "client", "create", "--name", "Pantry Phone Line", "--auth", "client_secret_post", "--grant", "ciba",
		"--scope", "openid lists:read", "--resource", testAPI, "--authorization-details-type", "grocery_list")
	w.must(t, &bell, "", "client", "create", "--name", "Visit http://evil.example", "--auth", "client_secret_post", "--grant", "ciba", "--scope", "openid",
		"--backchannel-delivery", "ping", "--backchannel-notification-endpoint", endpoint.URL+"/ciba")
	nina := w.join(t, email)
	nina.expect(nina.get("/account/requests"), 303, "/login?next=requests")
	nina.expect(nina.press("/login", "login", "email", email, "password", testPassword, "next", "requests"), 303, "/account/requests")
	nina.expect(nina.get("/account/requests"), 200, "Nobody asks anything of you")

	program := w.visitor(t)
	call := func(replica *running, path string, c party, form url.Values) (status int, body map[string]any) {
		t.Helper()
		v := *program
		v.replica, v.header = replica, http.Header{}
		form.Set("client_id", c.ID)
		form.Set("client_secret", c.Secret)
		got := v.send(http.MethodPost, path, form)
		if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
			t.Errorf("%s: %s", got.Status, got.Body)
		}
		return got.StatusCode, body
	}
	ask := func(c party, namesAndValues ...string) string {
		t.Helper()
		form := url.Values{"scope": {"openid"}, "login_hint": {email}, "binding_message": {"Order 4711"}}
		for i := 0; i < len(namesAndValues); i += 2 {
			form.Set(namesAndValues[i], namesAndValues[i+1])
		}
		status, body := call(w.replicas[1], "/bc-authorize", c, form)
		authReqID, _ := body["auth_req_id"].(string)
		if status != http.StatusOK || authReqID == "" {
			t.Fatalf("%d %v", status, body)
		}
		return authReqID
	}
	token := func(replica *running, c party, authReqID string) (int, map[string]any) {
		return call(replica, "/token", c, url.Values{"grant_type": {"urn:openid:params:grant-type:ciba"}, "auth_req_id": {authReqID}})
	}
	hidden := func(page answer, name string) string {
		t.Helper()
		found := regexp.MustCompile(`name="` + name + `" value="([^"]+)"`).FindStringSubmatch(page.Body)
		if found == nil {
			t.Fatalf("no %s on the page:\n%s", name, page.Body)
		}
		return found[1]
	}
	pressOn := func(page answer, action string) answer {
		t.Helper()
		return nina.press("/account/requests", action, "request", hidden(page, "request"), "session", hidden(page, "session"))
	}
	answerWith := func(action string) answer {
		t.Helper()
		return pressOn(nina.expect(nina.get("/account/requests"), 200, "Order 4711"), action)
	}

	// Poll.
	authReqID := ask(phone, "scope", "openid lists:read")
	if got := w.mail(t, email); len(got.links) != 1 || got.links[0] != "/account/requests" || strings.Contains(got.text, "4711") || strings.Contains(got.text, "Phone Line") {
		t.Errorf("the mail %q leads to %q:\n%s", got.subject, got.links, got.text)
	}
	if status, body := token(w.replicas[0], phone, authReqID); status != 400 || body["error"] != "authorization_pending" {
		t.Errorf("%d %v", status, body)
	}
	page := nina.expect(nina.get("/account/requests"), 200, "Pantry Phone Line")
	nina.expect(page, 200, "Did you begin this yourself")
	stranger := w.join(t, "otto@example.com")
	stranger.expect(stranger.press("/login", "login", "email", "otto@example.com", "password", testPassword), 303, "/account")
	stranger.expect(stranger.get("/account/requests"), 200, "Nobody asks anything of you")
	nina.expect(nina.press("/account/requests", "allow", "request", hidden(page, "request"), "session", "another"), 303, "/account/requests")
	// Signed out between the look at the session and the answer.
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := w.db.Owner.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO auth.revocations (kind, value, expires_at) VALUES ('sid', $1, now() + interval '1 hour')`, hidden(page, "session"))
	if to := pressOn(page, "allow").Header.Get("Location"); to != "/account/requests" {
		t.Errorf("signed out, and it leads to %s", to)
	}
	if n := w.count(t, `SELECT (SELECT count(*) FROM auth.consents) + (SELECT count(*) FROM auth.ciba_requests WHERE state <> 'pending')`); n != 0 {
		t.Error("who has signed out has agreed")
	}
	exec(`DELETE FROM auth.revocations WHERE kind = 'sid' AND value = $1`, hidden(page, "session"))
	nina.header = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	nina.expect(pressOn(page, "allow"), 403, "not sent from our own page")
	nina.header = nil
	nina.expect(answerWith("allow"), 303, "done=allowed")
	nina.expect(nina.get("/account/requests?done=allowed"), 200, "You allowed it")
	nina.expect(pressOn(page, "allow"), 303, "done=over")
	var running sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		running.Go(func() { statuses[i], _ = token(w.replicas[i%2], phone, authReqID) })
	}
	running.Wait()
	won := 0
	for _, status := range statuses {
		if status == http.StatusOK {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of the polls at once got tokens: %v", won, statuses)
	}

	// Ping, also of a refusal.
	const notificationToken = "a-token-that-nobody-else-knows"
	for action, want := range map[string]string{"allow": "", "deny": "access_denied"} {
		authReqID := ask(bell, "client_notification_token", notificationToken)
		if got := w.mail(t, email); strings.Contains(got.text, "evil") {
			t.Errorf("the mail says what the client wants:\n%s", got.text)
		}
		nina.expect(answerWith(action), 303, "done=")
		select {
		case got := <-pings:
			if got.authorization != "Bearer "+notificationToken || got.contentType != "application/json" || got.body != `{"auth_req_id":"`+authReqID+`"}` {
				t.Errorf("pinged with %+v", got)
			}
		case <-time.After(patience):
			t.Fatalf("no ping after %s", action)
		}
		_, body := token(w.replicas[0], bell, authReqID)
		if code, _ := body["error"].(string); code != want || (want == "") == (body["id_token"] == nil) {
			t.Errorf("after %s: %v", action, body)
		}
	}
	for action, want := range map[string]int{"ciba.approved": 2, "ciba.denied": 1} {
		w.settle(t, `SELECT count(*) FROM auth.audit_events WHERE action = '`+action+`'`, want)
	}

	// A client that wants more than a password is led to the second factor.
	ask(phone, "acr_values", "urn:larder:acr:mfa")
	w.mail(t, email)
	nina.expect(nina.get("/account/requests"), 200, "more than a password")
	nina.expect(answerWith("allow"), 303, "/login/mfa?next=requests")
	if n := w.count(t, `SELECT count(*) FROM auth.ciba_requests WHERE state = 'pending'`); n != 1 {
		t.Errorf("%d requests wait", n)
	}

	// A client that wants one list says so, and the page does; all that waits is in
	// the person's copy of what we hold.
	const family, list = "0199d6a4-0000-7000-8000-000000000001", "0199d6a4-0000-7000-8000-000000000002"
	ask(phone, "scope", "openid lists:read", "authorization_details",
		`[{"type":"grocery_list","family_id":"`+family+`","list_ids":["`+list+`"],"actions":["view"],"until":"2126-01-01T00:00:00Z"}]`)
	w.mail(t, email)
	limited := nina.expect(nina.get("/account/requests"), 200, "the list with the id "+list+" of the family with the id "+family+", until Tuesday, 1 January 2126")
	nina.expect(limited, 200, "For each list: see what is on it. Nothing else of the family.")
	var held struct {
		Requests []struct {
			ClientID string           `json:"client_id"`
			State    string           `json:"state"`
			Message  string           `json:"binding_message"`
			Details  []map[string]any `json:"authorization_details"`
		} `json:"backchannel_requests"`
		Devices []map[string]any `json:"device_approvals"`
	}
	got := nina.expect(nina.press("/account/privacy", "download", "password", testPassword), 200, "backchannel_requests")
	if err := json.Unmarshal([]byte(got.Body), &held); err != nil {
		t.Fatal(err)
	}
	pending := 0
	for _, one := range held.Requests {
		if one.Message != "Order 4711" {
			t.Errorf("%+v", one)
		}
		if one.State == "pending" && one.ClientID == phone.ID {
			pending++
		}
	}
	if last := held.Requests[len(held.Requests)-1]; pending != 2 || len(last.Details) != 1 || held.Devices == nil {
		t.Errorf("%d wait: %s", pending, got.Body)
	}
}
