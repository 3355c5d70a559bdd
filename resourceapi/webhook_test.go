package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"larder/internal/id"
)

// message is what a receiver got.
type message struct {
	header http.Header
	body   []byte
	Type   string         `json:"type"`
	Data   map[string]any `json:"data"`
}

// receiver is somebody else's service; it answers with what status says.
type receiver struct {
	URL      string
	messages chan message

	mu     sync.Mutex
	status int
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{messages: make(chan message, 100), status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		m := message{header: q.Header, body: body}
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			t.Errorf("a message that cannot be read: %v", err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		w.WriteHeader(r.status)
		r.messages <- m
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) next(t testing.TB) message {
	t.Helper()
	select {
	case m := <-r.messages:
		return m
	case <-time.After(patience):
		t.Fatal("no message came")
	}
	return message{}
}

func (m message) signedBy(t testing.TB, secret string) bool {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return hook.Verify(m.body, m.header) == nil
}

// register makes a webhook for checked items.
func (h *household) register(t testing.TB, url string) (path, secret string) {
	t.Helper()
	h.settle(t)
	made := h.want(t, 201, h.admin, "POST", h.path+"/webhooks", map[string]any{"url": url, "events": []string{"item.checked", "item.unchecked"}})
	return h.path + "/webhooks/" + made.field(t, "id"), made.field(t, "secret")
}

type delivery struct {
	ID, Status string
	Attempts   int
	LastStatus *int    `json:"last_status"`
	LastError  *string `json:"last_error"`
}

// delivered waits until the newest delivery has the status, after so many
// attempts; one that is pending may have been tried again meanwhile.
func (h *household) delivered(t testing.TB, hook, status string, attempts int) delivery {
	t.Helper()
	var page struct{ Deliveries []delivery }
	for range looks {
		page.Deliveries = nil
		h.want(t, 200, h.admin, "GET", hook+"/deliveries", nil).into(t, &page)
		if len(page.Deliveries) > 0 {
			d := page.Deliveries[0]
			if d.Status == status && (d.Attempts == attempts || status == "pending" && d.Attempts > attempts) {
				return d
			}
		}
		sleep(t)
	}
	t.Fatalf("the deliveries are %+v, want the newest %s after %d", page.Deliveries, status, attempts)
	return delivery{}
}

// hold keeps every courier from the families for so long, as soon as none is at
// work there; when it began is returned.
func (h *household) hold(t testing.TB, howLong, besides string) (began time.Time) {
	t.Helper()
	for range looks {
		began = time.Now()
		tag, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.webhook_rounds SET busy_until = now() + $1::interval WHERE busy_until IS NULL `+besides, howLong)
		if err != nil {
			t.Fatal(err)
		}
		if tag.RowsAffected() > 0 {
			return began
		}
		sleep(t)
	}
	t.Fatal("a courier does not end")
	return began
}

func TestWebhookIsToldOfWhatItAskedForAndCanTellWhoSpeaks(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	receiver := newReceiver(t)
	hook, secret := h.register(t, receiver.URL)
	h.want(t, 200, h.admin, "PUT", h.items(h.private)+"/"+h.secretItem+"/check", nil) // nobody else's business
	h.add(t, h.admin, h.shared, "Not asked for")
	h.want(t, 200, h.member, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	m := receiver.next(t)
	if m.Type != "item.checked" || m.Data["entity_id"] != h.item || m.Data["list_id"] != h.shared || m.Data["family_id"] != h.id || m.Data["actor"] != "user:bob" {
		t.Errorf("got %s", m.body)
	}
	if !m.signedBy(t, secret) || m.signedBy(t, strings.Replace(secret, "whsec_", "whsec_AAAA", 1)) {
		t.Errorf("the signature %v does not prove the secret", m.header)
	}
	done := h.delivered(t, hook, "delivered", 1)
	if "msg_"+done.ID != m.header.Get("webhook-id") {
		t.Errorf("message %s is delivery %s", m.header.Get("webhook-id"), done.ID)
	}
	// The secret is shown once, and lies sealed.
	for _, path := range []string{hook, h.path + "/webhooks"} {
		if got := h.want(t, 200, h.admin, "GET", path, nil); strings.Contains(string(got.body), "whsec_") {
			t.Errorf("%s shows the secret", path)
		}
	}
	var plain bool
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT bool_or(position(convert_to($1, 'UTF8') in secret) > 0) FROM grocery.webhooks`, secret[6:]).Scan(&plain); err != nil || plain {
		t.Errorf("the secret lies open in the database: %v, %v", plain, err)
	}
	// What is older than thirty days is forgotten with the next round.
	h.exec(t, `
INSERT INTO grocery.webhook_deliveries (family_id, id, webhook_id, event, payload, status, created_at)
SELECT family_id, gen_random_uuid(), webhook_id, event, payload, status, now() - days * interval '1 day' FROM grocery.webhook_deliveries, unnest(ARRAY[29, 31]) days`)
	// In a rotation both sign; a day later the new one alone.
	second := h.want(t, 200, h.admin, "POST", hook+"/secret", nil).field(t, "secret")
	h.want(t, 200, h.member, "DELETE", h.items(h.shared)+"/"+h.item+"/check", nil)
	if m = receiver.next(t); m.Type != "item.unchecked" || !m.signedBy(t, secret) || !m.signedBy(t, second) {
		t.Errorf("in the rotation came %s %v", m.Type, m.header)
	}
	var oldest int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT extract(day FROM now() - min(created_at)) FROM grocery.webhook_deliveries WHERE family_id = $1`, h.id).Scan(&oldest); err != nil || oldest != 29 {
		t.Errorf("the oldest delivery is of %d days ago: %v", oldest, err)
	}
	if _, err := h.db.Owner.Exec(t.Context(), `UPDATE grocery.webhooks SET old_until = now() - interval '1 second' WHERE old_until IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
	h.delivered(t, hook, "delivered", 1)
	h.want(t, 202, h.admin, "POST", hook+"/deliveries/"+done.ID+"/replay", nil)
	if m = receiver.next(t); m.header.Get("webhook-id") != "msg_"+done.ID || m.signedBy(t, secret) || !m.signedBy(t, second) {
		t.Errorf("the replay came as %v", m.header)
	}
	h.want(t, 404, h.admin, "POST", hook+"/deliveries/"+id.New().String()+"/replay", nil)
}

func TestWebhookIsTriedAgainAndGivenUp(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	receiver := newReceiver(t)
	hook, _ := h.register(t, receiver.URL)
	receiver.answer(http.StatusInternalServerError)
	h.want(t, 200, h.admin, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	first := receiver.next(t)
	// As if it had been tried all along; and nobody tries while we look.
	h.hold(t, "5 minutes", "")
	var tried int
	if err := h.db.Owner.QueryRow(t.Context(), `SELECT attempts FROM grocery.webhook_deliveries`).Scan(&tried); err != nil || tried < 1 {
		t.Fatalf("%d attempts are noted, %v", tried, err)
	}
	failed := h.delivered(t, hook, "pending", tried)
	if failed.LastStatus == nil || *failed.LastStatus != 500 || failed.LastError == nil {
		t.Errorf("the log says %+v", failed)
	}
	for range tried - 1 {
		receiver.next(t)
	}
	h.exec(t, `UPDATE grocery.webhook_deliveries SET attempts = 9, next_at = now()`)
	h.exec(t, `UPDATE grocery.webhook_rounds SET busy_until = NULL, due_at = now()`)
	again := receiver.next(t)
	if again.header.Get("webhook-id") != first.header.Get("webhook-id") || string(again.body) != string(first.body) {
		t.Errorf("tried again as another message: %v", again.header)
	}
	h.delivered(t, hook, "failed", 10)

	receiver.answer(http.StatusGone)
	h.want(t, 200, h.admin, "DELETE", h.items(h.shared)+"/"+h.item+"/check", nil)
	receiver.next(t)
	h.delivered(t, hook, "failed", 1)
	var found struct {
		Enabled bool
		Version int
	}
	h.want(t, 200, h.admin, "GET", hook, nil).into(t, &found)
	if found.Enabled {
		t.Error("410 did not disable the webhook")
	}
	if got := h.want(t, 409, h.admin, "POST", hook+"/deliveries/"+failed.ID+"/replay", nil); got.field(t, "code") != "webhook_disabled" {
		t.Errorf("a replay: %s", got)
	}
	// Enabled again it hears of what comes, and not of what it missed.
	receiver.answer(http.StatusNoContent)
	h.want(t, 200, h.admin, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	h.settle(t)
	h.want(t, 200, h.admin, "PATCH", hook, map[string]any{"enabled": true})
	h.want(t, 200, h.admin, "DELETE", h.items(h.shared)+"/"+h.item+"/check", nil)
	if m := receiver.next(t); m.Type != "item.unchecked" {
		t.Errorf("enabled again it was told of %s", m.body)
	}
	h.want(t, 204, h.admin, "DELETE", hook, nil, "If-Match", "*")
	h.want(t, 404, h.admin, "GET", hook+"/deliveries", nil)
}

// TestAWebhookIsDeletedWhileItsReceiverIsGone has somebody delete a webhook at
// the moment in which the courier writes down that its receiver answered 410.
func TestAWebhookIsDeletedWhileItsReceiverIsGone(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	gone, there := newReceiver(t), newReceiver(t)
	hook, _ := h.register(t, gone.URL)
	other, _ := h.register(t, there.URL)
	gone.answer(http.StatusGone)
	gone.mu.Lock()
	answer := sync.OnceFunc(gone.mu.Unlock)
	defer answer()
	h.want(t, 200, h.admin, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	h.delivered(t, hook, "pending", 0)

	ctx, name := t.Context(), hook[strings.LastIndex(hook, "/")+1:]
	tx, err := h.db.Owner.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // nothing, once it was committed
	if _, err := tx.Exec(ctx, `SELECT FROM grocery.webhooks WHERE id = $1 FOR UPDATE`, name); err != nil {
		t.Fatal(err)
	}
	answer()
	h.waitForLock(t)
	if _, err := tx.Exec(ctx, `DELETE FROM grocery.webhooks WHERE id = $1`, name); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	h.delivered(t, other, "delivered", 1)
	if sent := len(there.messages); sent != 1 {
		t.Errorf("another webhook was told %d times: what was sent was not written down", sent)
	}
	var told int
	if err := h.db.Owner.QueryRow(ctx, `SELECT count(*) FROM grocery.change_feed WHERE event = 'webhook.disabled'`).Scan(&told); err != nil || told != 0 {
		t.Errorf("%d times it was said that the webhook was disabled, which was gone; %v", told, err)
	}
}

// TestNoMessageIsLostWithAProcess has a courier die after it wrote a delivery
// down and before it sent it.
func TestNoMessageIsLostWithAProcess(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	receiver := newReceiver(t)
	h.register(t, receiver.URL)
	start := h.hold(t, "3 seconds", "AND due_at > now() + interval '10 seconds'") // once the first look is over
	h.want(t, 200, h.admin, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	if m := receiver.next(t); m.Type != "item.checked" || time.Since(start) < 2*time.Second {
		t.Errorf("while another held the family came %s", m.body)
	}
	second := newServiceOn(t, h.db, nil) // two couriers, one message
	for range 20 {
		h.want(t, 200, h.admin, "DELETE", h.items(h.shared)+"/"+h.item+"/check", nil)
		second.want(t, 200, second.user("ann"), "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	}
	seen := map[string]int{}
	for range 40 {
		seen[receiver.next(t).header.Get("webhook-id")]++
	}
	if len(seen) != 40 {
		t.Errorf("40 changes were told of in %d messages", len(seen))
	}
}

// A dump tells how far a webhook was told in transactions of the cluster that
// it came from.
func TestAWebhookHearsOnInAnotherCluster(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	receiver := newReceiver(t)
	h.register(t, receiver.URL)
	h.exec(t, `UPDATE grocery.webhooks SET after_tx = '1000000000000', after_seq = 7`)
	h.exec(t, `TRUNCATE grocery.change_feed`) // docs/backup.md
	h.want(t, 200, h.admin, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	if m := receiver.next(t); m.Type != "item.checked" || m.Data["entity_id"] != h.item {
		t.Errorf("got %s", m.body)
	}
}

func TestWebhooksAreForAdminsAndLeadOutside(t *testing.T) {
	t.Parallel()
	h := newHousehold(t)
	hook := h.path + "/webhooks/" + h.hook
	for _, who := range []caller{h.member, h.guest, {h.issuer.AppToken("bot", "family:write")}} {
		for _, at := range []string{hook, h.path + "/webhooks", hook + "/deliveries", h.path + "/webhooks/" + id.New().String()} {
			if got := h.do(t, who, "GET", at, nil).status; got != 403 && got != 404 {
				t.Errorf("GET %s: %d", at, got)
			}
		}
	}
	h.want(t, 403, h.scoped("ann", "family:read lists:read"), "GET", hook, nil)
	for _, body := range []any{
		`{}`, `{"url":""}`, `{"url":"ftp://example.com"}`, `{"url":"https://user:pw@example.com"}`, `{"url":"https://10.0.0.1/x"}`,
		`{"url":"https://169.254.169.254/latest/meta-data"}`, `{"url":"https://[::ffff:10.0.0.1]/"}`, `{"url":"https://example.com","secret":"mine"}`,
		`{"url":"https://example.com","events":["everything"]}`, `{"url":"https://example.com/#x"}`,
	} {
		h.want(t, 400, h.admin, "POST", h.path+"/webhooks", body)
	}
	h.want(t, 412, h.admin, "PATCH", hook, map[string]any{"enabled": false}, "If-Match", `"9"`)
	h.want(t, 412, h.admin, "POST", hook+"/secret", nil, "If-Match", `"9"`)
	h.want(t, 412, h.admin, "DELETE", hook, nil, "If-Match", `"9"`)
	h.want(t, 304, h.admin, "GET", hook, nil, "If-None-Match", h.want(t, 200, h.admin, "GET", hook, nil).header.Get("ETag"))
	// A name that leads inside is found out when it is dialled.
	made := h.want(t, 201, h.admin, "POST", h.path+"/webhooks", map[string]any{"url": "https://10.0.0.1.nip.invalid/", "events": []string{"item.checked"}})
	h.want(t, 200, h.admin, "PUT", h.items(h.shared)+"/"+h.item+"/check", nil)
	if d := h.delivered(t, h.path+"/webhooks/"+made.field(t, "id"), "pending", 1); d.LastStatus != nil || d.LastError == nil {
		t.Errorf("an address that does not resolve: %+v", d)
	}
	for range 18 {
		h.want(t, 201, h.admin, "POST", h.path+"/webhooks", map[string]any{"url": "https://example.com/", "events": []string{"family.deleted"}})
	}
	h.want(t, 409, h.admin, "POST", h.path+"/webhooks", map[string]any{"url": "https://example.com/"})
}
