package hostile_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

const (
	password = "seven quiet herons at dusk"
	forged   = `FORGED","level":"ERROR`
	// hookAddress is all that it takes to speak to some receivers.
	hookAddress = "the-address-of-a-webhook"
)

// tale is a story in which every secret is noted as it comes up.
type tale struct {
	*stack.Stack
	t       *testing.T
	secrets map[string]string // by the secret, what it is
}

func (n *tale) note(what, value string) string {
	n.t.Helper()
	if len(value) < 12 {
		n.t.Fatalf("%s is %q: too short to look for", what, value)
	}
	n.secrets[value] = what
	return value
}

func (n *tale) must(page *stack.Page, err error) *stack.Page {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
	return page
}

func (n *tale) answered(resp *stack.Response, err error) *stack.Response {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
	return resp
}

func TestNoSecretIsWrittenDown(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	n := &tale{Stack: s, t: t, secrets: map[string]string{}}
	for _, u := range s.Demo.Users {
		n.note("password of "+u.Name, u.Password)
	}
	n.note("secret of web", s.Demo.Clients.Web.Secret)
	n.note("secret of machine", s.Demo.Clients.Machine.Secret)
	n.note("API key", s.Demo.APIKey)
	n.note("secret of the API", s.ResourceServer().Secret)
	tokens := n.signIn()
	n.register()
	n.family(tokens)
	n.mishandle(tokens)
	n.checkLog()
	n.checkDatabase()
}

// signIn goes from the password to tokens that are refreshed, shown around and revoked.
func (n *tale) signIn() *stack.Tokens {
	ctx, browser, web := n.t.Context(), n.NewBrowser(), n.Client(n.Demo.Clients.Web)
	attempt := web.Begin(scope, url.Values{"resource": {n.API}})
	page := n.must(browser.Open(ctx, attempt.URL))
	n.must(browser.SignIn(ctx, page, "ada@example.com", n.note("a wrong password", "a wrong pass phrase of Ada")))
	page = n.must(browser.Open(ctx, attempt.URL))
	ada := n.User(n.t, demo.Admin)
	page = n.must(browser.SignIn(ctx, page, ada.Email, ada.Password))
	if page.Has("allow") {
		page = n.must(browser.Press(ctx, page, "allow"))
	}
	for _, cookie := range browser.Cookies() {
		if len(cookie.Value) > 20 {
			n.note("cookie "+cookie.Name, cookie.Value)
		}
	}
	code, err := web.Code(attempt, page)
	if err != nil {
		n.t.Fatal(err)
	}
	n.note("code", code)
	n.note("PKCE verifier", attempt.Verifier)
	n.tokens(n.answered(web.Exchange(ctx, code, attempt.Verifier)))
	n.answered(web.Exchange(ctx, code, attempt.Verifier)) // a replay, which ends them
	tokens, err := web.Authorize(ctx, browser, ada, scope, url.Values{"resource": {n.API}})
	if err != nil {
		n.t.Fatal(err)
	}
	n.tokens(&stack.Response{Status: http.StatusOK, Body: mustJSON(n.t, tokens)})
	tokens = n.tokens(n.answered(web.Refresh(ctx, tokens.RefreshToken)))
	for _, form := range []url.Values{{"token": {tokens.AccessToken}}, {"token": {tokens.RefreshToken}}, {"token": {n.Demo.APIKey}}} {
		n.answered(n.ResourceServer().PostForm(ctx, n.Issuer+"/introspect", form))
		n.answered(web.PostForm(ctx, n.Issuer+"/introspect", form))
	}
	n.answered(n.Call(ctx, tokens.AccessToken, http.MethodGet, n.Issuer+"/userinfo", ""))
	return tokens
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// tokens notes those of an answer. Of a JWT the signature is what nobody else could make.
func (n *tale) tokens(resp *stack.Response) *stack.Tokens {
	n.t.Helper()
	tokens, err := resp.Tokens()
	if err != nil {
		n.t.Fatal(err)
	}
	n.note("refresh token", tokens.RefreshToken)
	for what, token := range map[string]string{"access token": tokens.AccessToken, "ID token": tokens.IDToken} {
		if token != "" {
			n.note("signature of an "+what, token[strings.LastIndexByte(token, '.')+1:])
		}
	}
	return tokens
}

// register makes an account from the page to the link of the mail, and sets its password anew.
func (n *tale) register() {
	ctx, browser := n.t.Context(), n.NewBrowser()
	page := n.must(browser.Open(ctx, "/register"))
	for _, name := range []string{"Nina\r\n" + forged, "Nina " + forged} {
		n.must(browser.Press(ctx, page, "register", "name", name, "email", "nina@example.com", "password", n.note("a new password", password)))
	}
	page = n.must(browser.Open(ctx, n.link("nina@example.com")))
	n.must(browser.Press(ctx, page, "verify"))
	page = n.must(browser.Open(ctx, "/forgot"))
	n.must(browser.Press(ctx, page, "reset", "email", "nina@example.com"))
	page = n.must(browser.Open(ctx, n.link("nina@example.com")))
	n.must(browser.Press(ctx, page, "verify", "password", n.note("a reset password", "nine loud herons at dawn")))
}

// link waits for the newest mail to the address that has one that is not known yet, and returns where it leads.
func (n *tale) link(to string) string {
	n.t.Helper()
	found := regexp.MustCompile(regexp.QuoteMeta(n.Issuer) + `(/[^\s"<>]*/)([\w-]{20,})`)
	var target string
	n.await("a mail to "+to, func() (bool, error) {
		files, err := filepath.Glob(filepath.Join(n.Mails(), "*.eml"))
		if err != nil {
			return false, err
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				return false, err
			}
			link := found.FindSubmatch(raw)
			if link != nil && strings.Contains(string(raw), "<"+to+">") && n.secrets[string(link[2])] == "" {
				target = string(link[1]) + n.note("link of a mail", string(link[2]))
				return true, nil
			}
		}
		return false, nil
	})
	return target
}

// family hands out an invitation and a webhook, and writes line breaks wherever there is text.
func (n *tale) family(tokens *stack.Tokens) {
	ctx, family := n.t.Context(), "/v1/families/"+n.Demo.FamilyID
	post := func(path string, body any) *stack.Response {
		return n.answered(n.Call(ctx, tokens.AccessToken, http.MethodPost, family+path, string(mustJSON(n.t, body))))
	}
	n.note("invitation", post("/invitations", map[string]any{"role": "member"}).Text(".token"))
	hook := post("/webhooks", map[string]any{"url": "http://127.0.0.1:9/" + n.note("address of a webhook", hookAddress), "events": []string{"item.added"}})
	n.note("secret of a webhook", strings.TrimPrefix(hook.Text(".secret"), "whsec_"))
	post("/lists", map[string]any{"name": "Two\r\n" + forged, "kind": "shared"})
	post("/lists/"+n.Demo.Lists[0].ID+"/items", map[string]any{"name": "Milk", "note": "one\nmore\u2028" + forged})
}

// mishandle sends good secrets where they do not belong, and line breaks where there should be none.
func (n *tale) mishandle(tokens *stack.Tokens) {
	ctx, lists := n.t.Context(), "/v1/families/"+n.Demo.FamilyID+"/lists"
	web := n.Client(n.Demo.Clients.Web)
	breaks := url.QueryEscape("\r\n" + forged)
	for _, address := range []string{
		lists + "?access_token=" + tokens.AccessToken, lists + "?api_key=" + n.Demo.APIKey, "/v1/" + n.Demo.APIKey, lists + "?limit=" + breaks,
		"/v1/families/" + url.PathEscape("\r\n"+forged), n.Issuer + "/authorize?client_id=" + breaks + "&client_secret=" + web.Secret,
		n.Issuer + "/userinfo?access_token=" + tokens.AccessToken, n.Issuer + "/login?next=" + breaks, n.Issuer + "/" + tokens.RefreshToken,
		n.Issuer + "/token?refresh_token=" + tokens.RefreshToken,
	} {
		n.answered(n.Call(ctx, "", http.MethodGet, address, ""))
	}
	for _, credential := range []string{n.Demo.APIKey + "x", tokens.RefreshToken, tokens.AccessToken + "x", tokens.AccessToken + " " + n.Demo.APIKey, web.Secret} {
		n.answered(n.Call(ctx, credential, http.MethodGet, lists, "", "User-Agent", forged, "X-Request-Id", forged))
		n.answered(n.Call(ctx, credential, http.MethodGet, n.Issuer+"/userinfo", ""))
	}
	stranger := *web
	stranger.ID, stranger.Secret = "nobody\r\n"+forged, n.note("secret of nobody", "a-secret-of-nobody-at-all")
	for _, form := range []url.Values{
		{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken, tokens.RefreshToken}},
		{"grant_type": {"password"}, "username": {"ada"}, "password": {n.User(n.t, demo.Admin).Password}},
		{"grant_type": {"refresh_token\r\n" + forged}, "refresh_token": {tokens.RefreshToken}},
		{"grant_type": {"client_credentials"}, "scope": {tokens.RefreshToken}},
		{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {tokens.AccessToken}, "subject_token_type": {tokens.RefreshToken}},
	} {
		n.answered(web.Token(ctx, form))
		n.answered(stranger.Token(ctx, form))
	}
	n.answered(web.PostForm(ctx, n.Issuer+"/revoke", url.Values{"token": {tokens.RefreshToken}, "token_type_hint": {tokens.AccessToken}}))
}

// checkLog wants each line to be one event as a service wrote it. The log is complete once it tells of the last request.
func (n *tale) checkLog() {
	var logs string
	n.await("the log to be complete", func() (done bool, err error) {
		logs, err = n.Logs()
		return strings.Contains(logs, `"route":"/revoke"`), err
	})
	n.absent("the log", logs)
	lines := 0
	for line := range strings.Lines(logs) {
		if !strings.HasSuffix(line, "\n") {
			continue // being written
		}
		var event struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.Msg == "" || strings.Contains(line, forged) {
			n.t.Errorf("%v in the line %s", err, line)
		}
		lines++
	}
	if lines < 50 {
		n.t.Errorf("%d lines of log: this shows nothing", lines)
	}
}

func (n *tale) await(what string, done func() (bool, error)) {
	n.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok, err := done(); err != nil {
			n.t.Fatal(err)
		} else if ok {
			return
		}
	}
	n.t.Fatal("too long for " + what)
}

// checkDatabase looks into every column of both schemas, the audit logs and the arguments of jobs among them.
func (n *tale) checkDatabase() {
	ctx := n.t.Context()
	conn, err := pgx.Connect(ctx, n.OwnerURL())
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	n.await("the webhook to fail", func() (tried bool, err error) {
		err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM grocery.webhook_deliveries WHERE attempts > 0)`).Scan(&tried)
		return tried, err
	})
	rows, err := conn.Query(ctx, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('auth', 'grocery')`)
	if err != nil {
		n.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		n.t.Fatal(err)
	}
	whole := 0
	for _, table := range tables {
		var all string
		if err := conn.QueryRow(ctx, "SELECT coalesce(string_agg(r::text, ' '), '') FROM "+table+" r").Scan(&all); err != nil {
			n.t.Fatal(err)
		}
		whole += len(all)
		if table == "grocery.webhooks" {
			all = strings.ReplaceAll(all, hookAddress, "") // it is where to send to
		}
		n.absent(table, all)
	}
	if whole < 10_000 {
		n.t.Errorf("%d tables of %d characters: this shows nothing", len(tables), whole)
	}
}

// absent looks for each secret as it is and as PostgreSQL and we write bytes.
func (n *tale) absent(where, text string) {
	for secret, what := range n.secrets {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret)} {
			if at := strings.Index(text, form); at >= 0 {
				n.t.Errorf("%s holds the %s: …%s", where, what, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
}
