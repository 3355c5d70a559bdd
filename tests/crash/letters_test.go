package crash_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// receiver is somebody else's service that takes every message of a webhook.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	told map[deed]map[string]bool // the ids of the messages
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{told: map[deed]map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		var m struct {
			Type string `json:"type"`
			Data struct {
				Item string `json:"entity_id"`
			} `json:"data"`
		}
		if err := json.NewDecoder(q.Body).Decode(&m); err != nil {
			return // cut short by a kill; it comes again
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		d := deed{m.Type, m.Data.Item}
		if r.told[d] == nil {
			r.told[d] = map[string]bool{}
		}
		r.told[d][q.Header.Get("webhook-id")] = true
	}))
	t.Cleanup(r.Close)
	return r
}

// subscribe has the family's changes told to a receiver.
func (c *trial) subscribe() {
	c.receiver = newReceiver(c.t)
	hook := map[string]any{"url": c.receiver.URL, "events": []string{"item.added", "item.checked", "item.updated", "item.removed"}}
	c.people[0].call(http.MethodPost, c.people[0].family()+"/webhooks", hook, http.StatusCreated)
}

// knock registers an address, which owes it a mail once that is acknowledged. Whoever comes too often is told to wait,
// and owed nothing.
func (c *trial) knock() {
	address := strings.ToLower(rand.Text()) + "@example.com"
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	browser := c.NewBrowser()
	page, err := browser.Open(ctx, "/register")
	if err != nil || page.Status != http.StatusOK {
		return
	}
	page, err = browser.Press(ctx, page, "register", "name", "Nina", "email", address, "password", "seven quiet herons at dusk")
	if err == nil && page.Status == http.StatusOK {
		c.owed = append(c.owed, address)
	}
}

// checkLetters wants each acknowledged change told to the receiver under one id, and each owed mail written.
func (c *trial) checkLetters() {
	ctx := c.t.Context()
	conn, err := pgx.Connect(ctx, c.OwnerURL())
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// As if the minutes had passed after which others take over from the dead.
	for _, statement := range []string{
		`UPDATE grocery.webhook_rounds SET busy_until = NULL, due_at = now()`,
		`UPDATE grocery.webhook_deliveries SET next_at = now() WHERE status = 'pending'`,
		`UPDATE auth.river_job SET attempted_at = now() - interval '1 hour' WHERE state = 'running'`,
		`UPDATE auth.river_job SET scheduled_at = now(), state = 'available' WHERE state = 'retryable'`,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			c.t.Fatal(err)
		}
	}
	c.eventually("changes not told to the receiver", c.untold)
	c.eventually("mails not written", c.unwritten)
	c.receiver.mu.Lock()
	defer c.receiver.mu.Unlock()
	for d, ids := range c.receiver.told {
		if len(ids) > 1 && d.Event != "item.updated" {
			c.t.Errorf("%v was told of under %d ids", d, len(ids))
		}
	}
	c.t.Logf("%d changes were told of, %d mails written", len(c.receiver.told), len(c.owed))
	if len(c.owed) == 0 {
		c.t.Error("nobody was owed a mail: this shows nothing")
	}
}

func (c *trial) eventually(what string, missing func() int) {
	n := missing()
	for deadline := time.Now().Add(3 * patience); n > 0 && time.Now().Before(deadline); n = missing() {
		time.Sleep(50 * time.Millisecond)
	}
	if n > 0 {
		c.t.Errorf("%d %s", n, what)
	}
}

func (c *trial) untold() (missing int) {
	c.receiver.mu.Lock()
	defer c.receiver.mu.Unlock()
	for _, p := range c.people {
		for _, d := range p.deeds {
			if c.receiver.told[d] == nil {
				missing++
			}
		}
	}
	return missing
}

func (c *trial) unwritten() int {
	files, err := filepath.Glob(filepath.Join(c.Mails(), "*.eml"))
	if err != nil {
		c.t.Error(err)
	}
	var all strings.Builder
	for _, file := range files {
		raw, _ := os.ReadFile(file)
		head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
		all.WriteString(head)
	}
	missing := 0
	for _, address := range c.owed {
		if !strings.Contains(all.String(), "<"+address+">") {
			missing++
		}
	}
	return missing
}
