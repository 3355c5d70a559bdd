package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/internal/brand"
	"larder/internal/mail"
	"larder/internal/web"
)

// mailbox is a mail server that is away for its first mail.
type mailbox struct {
	mu    sync.Mutex
	tried int
	got   []mail.Message
}

func (b *mailbox) Send(_ context.Context, m mail.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tried++; b.tried <= 1 {
		return errors.New("the mail server is away")
	}
	b.got = append(b.got, m)
	return nil
}

func (b *mailbox) mails() []mail.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got
}

// mailing starts a service that mails invitations into box.
func mailing(t *testing.T, box mail.Sender) *household {
	t.Helper()
	s := newService(t, func(s *server) {
		s.cfg.Mail = MailConfig{Brand: brand.Larder(), InvitationURL: "https://app.example.com/join", Dir: t.TempDir(), From: &netmail.Address{Address: "a@example.com"}}
		made, err := s.newMails(t.Context(), s.invitations.Keys)
		if err != nil {
			t.Fatal(err)
		}
		postman, ok := made.Delivery.(*mail.Postman)
		if !ok {
			t.Fatalf("mails are delivered by %T", made.Delivery)
		}
		postman.Sender = box
		s.invitations.Page, s.invitations.Delivery = made.Page, made.Delivery
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { s.invitations.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return s.household(t, "")
}

// waiting counts the letters that are not sent yet.
func (h *household) waiting(t *testing.T) (n int) {
	t.Helper()
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.invitation_mails`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// addressed counts the invitations of which it is known whom they were mailed to.
func (h *household) addressed(t *testing.T) (n int) {
	t.Helper()
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM grocery.invitations WHERE email IS NOT NULL`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnInvitationIsMailedToWhomItIsFor(t *testing.T) {
	t.Parallel()
	box := &mailbox{}
	h := mailing(t, box)
	path := h.path + "/invitations"
	asked := map[string]any{"role": "member", "email": "dora@example.com", "language": "de-AT"}

	if link := h.want(t, 201, h.admin, "POST", path, map[string]any{"role": "member"}); link.field(t, "link") != "https://app.example.com/join#invitation="+link.field(t, "token") {
		t.Errorf("the link does not carry the token: %s", link.body)
	}
	for _, bad := range []map[string]any{
		{"role": "member", "email": "Dora <dora@example.com>"},
		{"role": "member", "email": "dora@example.com\r\nBcc: all@example.com"},
		{"role": "member", "email": "dora@example.com", "uses": 2},
		{"role": "member", "language": "de"},
	} {
		h.want(t, 400, h.admin, "POST", path, bad)
	}
	h.want(t, 403, h.member, "POST", path, asked)

	made := h.want(t, 201, h.admin, "POST", path, asked)
	if strings.Contains(string(made.body), "lri_") {
		t.Errorf("the token is shown: %s", made.body)
	}
	if listed := h.want(t, 200, h.admin, "GET", path, nil); !strings.Contains(string(listed.body), "dora@example.com") {
		t.Errorf("the admins are not told who was invited: %s", listed.body)
	}
	eventually(t, "the first attempt", func() bool { box.mu.Lock(); defer box.mu.Unlock(); return box.tried >= 1 })
	var stored []byte
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT string_agg(letter, '') || (SELECT string_agg(email, '') FROM grocery.invitations) FROM grocery.invitation_mails`).
		Scan(&stored); err != nil || bytes.Contains(stored, []byte("dora")) || bytes.Contains(stored, []byte("lri_")) {
		t.Errorf("%v, and the database holds %q", err, stored)
	}
	eventually(t, "the mail was put off", func() bool {
		tag, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.invitation_mails SET next_at = now() WHERE next_at > now() + interval '30 s'`)
		return err == nil && tag.RowsAffected() == 1
	})
	eventually(t, "the mail", func() bool { return len(box.mails()) == 1 })
	got := box.mails()[0]
	if got.To != "dora@example.com" || got.Language != "de" || !strings.Contains(got.Text, "Öffne den Link") || strings.Contains(got.Text+got.HTML+got.Subject, "Bakers") {
		t.Errorf("the mail to %s says\n%s", got.To, got.Text)
	}
	token := regexp.MustCompile(`https://app\.example\.com/join#invitation=(lri_\S+)`).FindStringSubmatch(got.Text)
	if token == nil || !strings.Contains(got.HTML, token[0]) {
		t.Fatalf("no link in\n%s\n%s", got.Text, got.HTML)
	}
	eventually(t, "the letter is gone", func() bool { return h.waiting(t) == 0 })
	accept := map[string]any{"token": token[1], "display_name": "Dora"}
	h.want(t, 200, h.user("dora"), "POST", "/v1/invitations/accept", accept)
	h.want(t, 404, h.user("eve"), "POST", "/v1/invitations/accept", accept)

	if known := h.addressed(t); known != 0 {
		t.Errorf("%d addresses are known when the invitation is used", known)
	}

	for range 2 {
		h.want(t, 201, h.admin, "POST", path, asked)
	}
	// What is over leaves, in all families, and the rest stays.
	other := h.household(t, "other-")
	other.want(t, 201, other.admin, "POST", other.path+"/invitations", map[string]any{"role": "member", "email": "otto@example.com"})
	h.exec(t, `UPDATE grocery.invitations SET expires_at = now() - interval '1 second' WHERE email IS NOT NULL AND (family_id, id) NOT IN (
		SELECT family_id, id FROM grocery.invitations WHERE email IS NOT NULL ORDER BY created_at LIMIT 1)`)
	if _, more, err := h.invitations.SweepOver(t.Context()); err != nil || more || h.addressed(t) != 1 {
		t.Errorf("after the sweep %d addresses are known, %v", h.addressed(t), err)
	}
	if over := h.want(t, 429, h.admin, "POST", path, map[string]any{"role": "member", "email": "DORA@example.com"}); over.field(t, "code") != "quota_mail" || over.header.Get("Retry-After") == "" {
		t.Errorf("the fourth mail to an address is answered %v", over)
	}
}

func TestAMailThatCannotBeSentIsGivenUp(t *testing.T) {
	t.Parallel()
	h := mailing(t, &mailbox{tried: math.MinInt})
	h.want(t, 201, h.admin, "POST", h.path+"/invitations", map[string]any{"role": "guest", "email": "nobody@example.com"})
	eventually(t, "the letter is gone", func() bool {
		_, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.invitation_mails SET next_at = now(), attempts = 100 WHERE attempts > 0`)
		return err == nil && h.waiting(t) == 0
	})
	answer := httptest.NewRecorder()
	web.Internal(h.registry, h.checks()...).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if !strings.Contains(answer.Body.String(), `invitation_mails_total{outcome="given_up"} 1`) {
		t.Errorf("the metrics do not tell of it: %s", answer.Body)
	}
}

func TestNoInvitationIsMadeThatWouldNotBeMailed(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	refused := h.want(t, 409, h.admin, "POST", h.path+"/invitations", map[string]any{"role": "member", "email": "dora@example.com"})
	if code := refused.field(t, "code"); code != "no_mail" {
		t.Errorf("the answer is %s", refused.body)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}
