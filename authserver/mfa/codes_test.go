package mfa_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"larder/authserver/onetime"
	"larder/internal/language"
	"larder/internal/mail"
	"larder/internal/sms"
	"larder/templates"
)

// outbox is where messages go.
type outbox struct{ to, text string }

func (o *outbox) Deliver(_ context.Context, _ int64, _ time.Time, l mail.Letter) error {
	o.to, o.text = l.To, l.Facts["code"]
	return nil
}

func (o *outbox) Send(_ context.Context, m sms.Message) error {
	o.to, o.text = m.To, m.Text
	return nil
}

// message delivers the newest code and returns it, "" if it is not worth sending.
func (p *place) message(t *testing.T) (code, to string) {
	t.Helper()
	p.post.mu.Lock()
	defer p.post.mu.Unlock()
	if len(p.post.codes) == 0 {
		t.Fatal("no code is to be delivered")
	}
	out := &outbox{}
	languages, err := language.Load(templates.Languages(), language.Brand)
	if err != nil {
		t.Fatal(err)
	}
	w := &onetime.Worker{Codes: p.codes, Languages: languages, Issuer: "https://id.example", Post: out, Texts: out}
	job := &river.Job[onetime.Job]{JobRow: &rivertype.JobRow{ID: 7, CreatedAt: time.Now()}, Args: p.post.codes[len(p.post.codes)-1]}
	if err := w.Work(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.text, "Larder") && !strings.HasSuffix(out.text, "\n\n@id.example #"+out.text[:6]) {
		t.Errorf("the text message is %q", out.text)
	}
	return regexp.MustCompile(`^\d{6}|^$`).FindString(out.text), out.to
}

// another is a code of six digits that is not this one.
func another(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

func TestACodeByMessageIsASecondChannelAndNotASecondFactor(t *testing.T) {
	p := setup(t)
	user := p.create(t, "ada@example.com")
	b := p.browser(t)
	b.password()
	if res := b.press("/account/security", "mail-codes"); res.location != "/account/security" {
		t.Fatalf("turning it on: %d %s", res.status, res.location)
	}
	// The session that turned it on has shown no message yet, so that it turns nothing off.
	for _, action := range []string{"codes-off", "phone", "totp", "mail-codes"} {
		if res := b.press("/account/security", action, "channel", "email"); res.location != "/login/mfa?next=security" {
			t.Errorf("%s without a code: %d %s", action, res.status, res.location)
		}
	}

	fresh := p.browser(t)
	if res := fresh.password(); res.location != "/login/mfa" {
		t.Fatalf("after the password: %s", res.location)
	}
	for _, action := range []string{"codes-off", "phone", "totp"} { // A6
		if res := fresh.press("/account/security", action, "channel", "email"); res.location != "/login?next=security" {
			t.Errorf("%s after a password only: %d %s", action, res.status, res.location)
		}
	}
	if shown := fresh.get("/login/mfa").body; !strings.Contains(shown, "a…@example.com") || strings.Contains(shown, "ada@example.com</span>") {
		t.Errorf("the page shows %s", shown)
	}
	if res := fresh.press("/login/mfa", "send", "channel", "sms"); res.status != http.StatusBadRequest {
		t.Errorf("a way that is not hers: %d", res.status)
	}
	fresh.press("/login/mfa", "send", "channel", "email")
	code, to := p.message(t)
	if to != "ada@example.com" {
		t.Errorf("it went to %q", to)
	}
	if res := fresh.press("/login/mfa", "verify", "code", another(code)); res.status != http.StatusForbidden || !strings.Contains(res.body, `role="alert"`) {
		t.Errorf("a wrong code: %d", res.status)
	}
	if res := fresh.press("/login/mfa", "verify", "code", code[:3]+" "+code[3:]); res.location != "/account" {
		t.Fatalf("the code: %d %s", res.status, res.body)
	}
	if who := fresh.get("/whoami").body; !strings.Contains(who, `"ACR":"urn:larder:acr:pwd"`) || !strings.Contains(who, `["pwd","mca"]`) {
		t.Errorf("the session says %s", who)
	}
	// A13: an app that asks for two factors gets none by messages.
	flowID := find(t, fresh.get("/begin").body, `"([^"]+)"`)
	if shown := fresh.get("/login/mfa?flow=" + flowID).body; !strings.Contains(shown, "A second step is needed") {
		t.Errorf("step-up shows %s", shown)
	}

	// A telephone number counts once a code came there.
	if res := fresh.press("/account/security", "phone", "phone", "0151 123"); res.status != http.StatusUnprocessableEntity {
		t.Errorf("no number: %d", res.status)
	}
	fresh.press("/account/security", "phone", "phone", "+49 151 12345678")
	code, to = p.message(t)
	if to != "+4915112345678" {
		t.Errorf("the text went to %q", to)
	}
	if res := fresh.press("/account/security", "phone-verify", "code", another(code), "phone", "x"); res.status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong code for the phone: %d", res.status)
	}
	if res := fresh.press("/login/mfa", "verify", "code", code); res.location != "" {
		t.Errorf("the phone's code signed in: %s", res.location)
	}
	if res := fresh.press("/account/security", "phone-verify", "code", code, "phone", "x"); res.location != "/account/security" {
		t.Fatalf("the phone's code: %d %s", res.status, res.body)
	}
	if ways, err := p.codes.Ways(t.Context(), user); err != nil || len(ways) != 2 || ways[1].Target != "…78" {
		t.Errorf("ways: %+v, %v", ways, err)
	}

	// Something stronger puts them out of use.
	p.enrol(t, user)
	held := p.browser(t)
	held.password()
	sent := len(p.post.codes)
	if res := held.press("/login/mfa", "send", "channel", "sms"); res.status != http.StatusBadRequest || len(p.post.codes) != sent {
		t.Errorf("a message beside an app: %d", res.status)
	}
	if err := p.codes.EnableMail(t.Context(), user); err == nil {
		t.Error("codes by mail were turned on beside an app")
	}
	if err := p.factors.Remove(t.Context(), operator(), user); err != nil {
		t.Fatal(err)
	}
	if owes, err := p.factors.Required(t.Context(), user, ""); err != nil || owes {
		t.Errorf("after the operator removed everything: %t, %v", owes, err)
	}
}

// Promise 3, A7 and A10 of the security cases, for codes that are sent.
func TestACodeIsGoodOnceForAWhileInOneBrowserAndAFewTries(t *testing.T) {
	p := setup(t)
	user := p.create(t, "ada@example.com")
	if err := p.codes.EnableMail(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	send := func(device string) string {
		t.Helper()
		p.clock.advance(time.Hour)
		for _, k := range p.factors.Redis.Keys(t.Context(), "limit:code-*").Val() {
			p.factors.Redis.Del(t.Context(), k) // an hour later for the limiter too, whose clock is Redis's
		}
		if err := p.codes.Send(t.Context(), user, device, "192.0.2.1", "email"); err != nil {
			t.Fatal(err)
		}
		code, _ := p.message(t)
		return code
	}
	good := func(device, code string) bool {
		_, err := p.codes.Check(t.Context(), user, device, code)
		return err == nil
	}
	for range 5 {
		code := send("device")
		var wins atomic.Int32
		var wg sync.WaitGroup
		for i := range 32 {
			codes := []*onetime.Codes{p.codes, p.second.codes}[i%2]
			wg.Go(func() {
				if _, err := codes.Check(t.Context(), user, "device", code); err == nil {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d of 32 spent the code, want 1", wins.Load())
		}
	}
	if code := send("device"); good("another", code) || !good("device", code) {
		t.Error("a code counts in another browser, or not in its own")
	}
	old := send("device")
	if fresh := send("device"); old != fresh && good("device", old) || !good("device", fresh) {
		t.Error("the next code does not take the place of the one before")
	}
	code := send("device")
	p.clock.advance(10*time.Minute + time.Second)
	if good("device", code) {
		t.Error("a code of ten minutes ago counts")
	}
	if late, _ := p.message(t); late != "" {
		t.Error("a code that is over was still sent")
	}
	code = send("device")
	for range 5 {
		if good("device", another(code)) {
			t.Error("a wrong code counts")
		}
	}
	if good("device", code) {
		t.Error("the sixth try counts")
	}
	var refused bool
	for range 5 {
		refused = refused || p.codes.Send(t.Context(), user, "device", "192.0.2.1", "email") != nil
	}
	if !refused {
		t.Error("five messages at once were sent")
	}
}
