package main

import (
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	bakers    = "0190a000-0000-7000-8000-000000000001"
	strangers = "0190a000-0000-7000-8000-000000000002"
	club      = "0190a000-0000-7000-8000-000000000003"
)

// keySmith is somebody who is signed in, at an authserver whose API knows two families of theirs.
func keySmith(t *testing.T) (*town, *keeper, *visitor) {
	t.Helper()
	k, mails, world := newKeeper(t), filepath.Join(t.TempDir(), "mail"), newWorld(t)
	world = world.with("AUTHSERVER_MAIL_DIR", mails, "AUTHSERVER_DATA_HOLDERS", testAPI+"="+k.URL,
		"AUTHSERVER_RESOURCE_SERVERS", testAPI+"=family:read family:write lists:read lists:write")
	w := &town{world: world, mails: mails, replicas: []*running{world.startReady(t)}, read: make(map[string]bool)}
	v := w.join(t, "nina@example.com")
	v.expect(v.signIn("nina@example.com", testPassword), 303, "")
	return w, k, v
}

func TestPeopleMakeKeysOfTheirOwn(t *testing.T) {
	w, k, v := keySmith(t)
	page := v.expect(v.get("/account/keys"), 200, "The Bakers").Body
	if strings.Contains(page, `name="family:write"`) || !strings.Contains(page, `name="lists:write"`) {
		t.Errorf("the page offers other scopes:\n%s", page)
	}
	if c := k.lastToken(); c["scope"] != "family:read" || c["aud"] != testAPI {
		t.Errorf("the API was asked with %v", c)
	}
	form := func(change ...string) url.Values {
		f := url.Values{"action": {"create"}, "name": {"Display"}, "family": {bakers}, "lists:read": {"on"}, "lists:write": {"on"}, "days": {"30"}}
		for i := 0; i < len(change); i += 2 {
			f.Set(change[i], change[i+1])
		}
		return f
	}
	for name, c := range map[string]struct {
		form   url.Values
		status int
	}{
		"for another person (A19)":    {form("user_id", "0190a000-0000-7000-8000-00000000000a"), 403},
		"for a service account (A19)": {form("service_account_id", "0190a000-0000-7000-8000-00000000000a"), 403},
		"for a family of others":      {form("family", strangers), 403},
		"for no family":               {form("family", ""), 403},
		"without a name":              {form("name", " "), 400},
		"with a name of two lines":    {form("name", "a\nb"), 400},
		"that manages the family":     {form("family:write", "on"), 403},
		"of an operator":              {form("admin", "on"), 403},
		"that may do nothing":         {url.Values{"action": {"create"}, "name": {"Display"}, "family": {bakers}, "days": {"30"}}, 400},
		"for ever":                    {form("days", "0"), 400},
		"for too long":                {form("days", "3650"), 400},
		"by no button":                {form("action", ""), 400},
	} {
		if got := v.send(http.MethodPost, "/account/keys", c.form); got.StatusCode != c.status {
			t.Errorf("a key %s: %s", name, got.Status)
		}
	}
	again := v.send(http.MethodPost, "/account/keys", form("name", " ", "family", club)).Body
	for _, chosen := range []string{`value="` + club + `" checked`, `name="lists:write" checked`, `value="30" checked`} {
		if !strings.Contains(again, chosen) {
			t.Errorf("what was chosen is gone: %s", chosen)
		}
	}
	if strings.Contains(again, `name="family:read" checked`) {
		t.Error("what was not chosen is")
	}
	if got := w.visitor(t).send(http.MethodPost, "/account/keys", form()); got.StatusCode != 303 || !strings.Contains(got.Header.Get("Location"), "/login") {
		t.Errorf("somebody who is not signed in: %s", got.Status)
	}
	foreign := w.visitor(t)
	foreign.Jar, foreign.header = v.Jar, http.Header{"Sec-Fetch-Site": {"cross-site"}}
	if got := foreign.send(http.MethodPost, "/account/keys", form()); got.StatusCode != 403 {
		t.Errorf("a form of another site: %s", got.Status)
	}
	if n := w.count(t, `SELECT count(*) FROM auth.api_keys`); n != 0 {
		t.Fatalf("%d keys were made", n)
	}

	made := v.expect(v.send(http.MethodPost, "/account/keys", form()), 200, "lrd_live_")
	key := regexp.MustCompile(`lrd_live_\w+`).FindString(made.Body)
	if made.Header.Get("Cache-Control") != "no-store" || !strings.Contains(made.Header.Get("Content-Security-Policy"), "script-src 'nonce-") {
		t.Errorf("the page of the key: %v", made.Header)
	}
	if l := w.mail(t, "nina@example.com"); !strings.Contains(l.subject, "API key") || strings.Contains(l.text, key) {
		t.Errorf("the mail %q:\n%s", l.subject, l.text)
	}
	list := v.expect(v.get("/account/keys"), 200, "Display").Body
	if strings.Contains(list, key) || !strings.Contains(list, key[len(key)-4:]) || !strings.Contains(list, "never used") {
		t.Errorf("the list:\n%s", list)
	}
	v.expect(v.press("/account/privacy", "download", "password", testPassword), 200, `"family_name": "The Bakers"`)

	// While the API is away keys can be seen and revoked, and none can be made.
	k.mu.Lock()
	k.away = 2
	k.mu.Unlock()
	v.expect(v.get("/account/keys"), 200, "cannot be read right now")
	v.expect(v.send(http.MethodPost, "/account/keys", form()), 503, "cannot be read right now")
	id := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(list)[1]
	v.expect(v.press("/account/keys", "revoke", "key", id), 303, "/account/keys?done=revoked")
	v.expect(v.get("/account/keys?done=revoked"), 200, "You have no keys.")
}

// Whoever has codes sent shows one before something gets in in their name, as
// before they change their factors.
func TestWhoHasCodesSentShowsOneFirst(t *testing.T) {
	_, _, v := keySmith(t)
	v.expect(v.press("/account/security", "mail-codes"), 303, "")
	for page, action := range map[string]string{"keys": "create", "identities": "google", "security": "totp"} {
		got := v.press("/account/"+page, action, "name", "Display", "family", bakers, "lists:read", "on", "days", "30")
		if at := got.Header.Get("Location"); got.StatusCode != 303 || at != "/login/mfa?next="+page {
			t.Errorf("%s: %s %s", page, got.Status, at)
		}
	}
}

// A17 of the security cases.
func TestPersonalKeysEndWithWhatTheyStandOn(t *testing.T) {
	w, _, v := keySmith(t)
	for name, end := range map[string]func(){
		"the password is changed": func() {
			v.expect(v.press("/account/security", "password", "current_password", testPassword, "password", otherPassword), 303, "")
			v.expect(v.signIn("nina@example.com", otherPassword), 303, "")
			v.expect(v.press("/account/security", "password", "current_password", otherPassword, "password", testPassword), 303, "")
		},
		"the account is disabled": func() {
			w.must(t, nil, "", "user", "disable", "nina@example.com")
			if _, err := w.db.Owner.Exec(t.Context(), `UPDATE auth.users SET disabled_at = NULL`); err != nil {
				t.Fatal(err)
			}
		},
		"the account is to be deleted": func() {
			v.expect(v.press("/account/privacy", "delete", "password", testPassword), 200, "will be deleted")
			v.expect(v.signIn("nina@example.com", testPassword), 303, "")
			v.expect(v.press("/account/privacy", "keep"), 303, "")
		},
	} {
		v.expect(v.signIn("nina@example.com", testPassword), 303, "")
		v.expect(v.press("/account/keys", "create", "name", name, "family", bakers, "lists:read", "on", "days", "7"), 200, "lrd_live_")
		end()
		if n := w.count(t, `SELECT count(*) FROM auth.api_keys WHERE revoked_at IS NULL`); n != 0 {
			t.Errorf("after %s %d keys are in force", name, n)
		}
	}
	v.expect(v.signIn("nina@example.com", testPassword), 303, "")
	v.expect(v.press("/account/keys", "create", "name", "Late", "family", bakers, "lists:read", "on", "days", "7"), 200, "lrd_live_")
	if _, err := w.db.Owner.Exec(t.Context(), `DELETE FROM auth.users`); err != nil {
		t.Fatal(err)
	}
	if n := w.count(t, `SELECT count(*) FROM auth.api_keys`); n != 0 {
		t.Errorf("%d keys outlive the account", n)
	}
}
