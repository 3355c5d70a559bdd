package crash_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/tests/stack"
)

// thing is what a writer knows of an item.
type thing struct {
	Name    string `json:"name"`
	Note    string `json:"note"`
	Checked bool   `json:"checked"`
}

// deed is a write that was acknowledged: it has to be in the feed and in the audit log.
type deed struct{ Event, Item string }

// writer fills a list of its own and remembers what it was told is done.
type writer struct {
	trial  *trial
	person *person
	list   string // its path
	things map[string]thing
	deeds  []deed
}

func newWriter(c *trial, p *person, name string) *writer {
	w := &writer{trial: c, person: p, things: map[string]thing{}}
	made := w.call(http.MethodPost, w.family()+"/lists", map[string]any{"name": name, "kind": "shared"}, http.StatusCreated)
	w.list = w.family() + "/lists/" + made.Text(".id")
	return w
}

func (w *writer) family() string { return "/v1/families/" + w.trial.Demo.FamilyID }

// call sends a request until it is answered as it should be.
func (w *writer) call(method, path string, body any, want ...int) *stack.Response {
	raw, err := json.Marshal(body)
	if err != nil {
		w.trial.t.Error(err)
	}
	text := string(raw)
	if body == nil {
		text = ""
	}
	answer, first := w.trial.insist(func(ctx context.Context) (*stack.Response, error) {
		return w.trial.Call(ctx, *w.person.access.Load(), method, path, text)
	})
	switch {
	case answer.Status == want[0]:
	case !first && len(want) > 1 && answer.Status == want[1]:
	default:
		w.trial.t.Errorf("%s %s: %s", method, path, answer)
	}
	return answer
}

// write does one thing of each kind to two new items.
func (w *writer) write() {
	one, other := id.New().String(), id.New().String()
	path := w.list + "/items/" + one
	w.call(http.MethodPost, w.list+"/items", map[string]any{"id": one, "name": "One"}, http.StatusCreated)
	w.done(deed{"item.added", one}, thing{Name: "One"})
	w.call(http.MethodPut, path+"/check", nil, http.StatusOK)
	w.done(deed{"item.checked", one}, thing{Name: "One", Checked: true})
	note := fmt.Sprintf("after %d", len(w.deeds))
	w.call(http.MethodPatch, path, map[string]any{"note": note}, http.StatusOK)
	w.done(deed{"item.updated", one}, thing{Name: "One", Note: note, Checked: true})
	w.offline(other)
	if len(w.things)%3 == 0 {
		w.call(http.MethodDelete, path, nil, http.StatusNoContent, http.StatusNotFound)
		w.done(deed{"item.removed", one}, thing{})
		delete(w.things, one)
	}
}

// offline adds an item and checks it off in one request of a client that was away.
func (w *writer) offline(item string) {
	operations := make([]any, 0, 2)
	for _, kind := range []string{"item.add", "item.check"} {
		operation := map[string]any{"operation_id": id.New(), "op": kind, "list_id": w.list[strings.LastIndex(w.list, "/")+1:], "item_id": item}
		if kind == "item.add" {
			operation["fields"] = map[string]any{"name": map[string]any{"base": "", "value": "Other"}}
		}
		operations = append(operations, operation)
	}
	answer := w.call(http.MethodPost, w.family()+"/sync", map[string]any{"operations": operations}, http.StatusOK)
	for n := range operations {
		if status := answer.Text(fmt.Sprintf(".results.%d.status", n)); status != "applied" {
			w.trial.t.Errorf("operation %d: %q in %s", n, status, answer)
		}
	}
	w.done(deed{"item.added", item}, thing{Name: "Other"})
	w.done(deed{"item.checked", item}, thing{Name: "Other", Checked: true})
}

func (w *writer) done(d deed, now thing) {
	w.deeds = append(w.deeds, d)
	w.things[d.Item] = now
	w.trial.writes.Add(1)
}

// check compares the list with what the writer was told.
func (w *writer) check() {
	there := map[string]thing{}
	for next := w.list + "/items?limit=200"; next != ""; {
		var page struct {
			Items []struct {
				thing
				ID string `json:"id"`
			} `json:"items"`
			Next string `json:"next"`
		}
		answer := w.call(http.MethodGet, next, nil, http.StatusOK)
		if err := json.Unmarshal(answer.Body, &page); err != nil {
			w.trial.t.Error(err)
			return
		}
		for _, i := range page.Items {
			there[i.ID] = i.thing
		}
		next = page.Next
	}
	if diff := cmp.Diff(w.things, there); diff != "" {
		w.trial.t.Errorf("the list (-acknowledged +there):\n%s", diff)
	}
}

// changes is a page of what became of a family.
type changes struct {
	Cursor string `json:"cursor"`
	Reset  bool   `json:"reset"`
	More   bool   `json:"more"`
	Items  []struct {
		ID string `json:"id"`
	} `json:"items"`
	Removed struct {
		Items []string `json:"items"`
	} `json:"removed"`
}

func (w *writer) sync(cursor string) (c changes) {
	answer := w.call(http.MethodPost, w.family()+"/sync", map[string]any{"cursor": cursor}, http.StatusOK)
	if err := json.Unmarshal(answer.Body, &c); err != nil {
		w.trial.t.Error(err)
	}
	return c
}

// checkFeed goes on from before the first kill, as a client does that was away all the time. The newest changes are told
// of only once no older transaction is under way on the whole server, which others use too.
func (c *trial) checkFeed(page changes) {
	untold := map[string]deed{}
	for _, p := range c.people {
		for _, d := range p.deeds {
			untold[d.Item] = d
		}
	}
	for deadline := time.Now().Add(patience); len(untold) > 0; {
		if time.Now().After(deadline) {
			c.t.Errorf("the feed does not tell of %v", untold)
			return
		}
		if !page.More {
			time.Sleep(pace)
		}
		if page = c.people[0].sync(page.Cursor); page.Reset {
			c.t.Error("the cursor leads nowhere any more")
			return
		}
		for _, i := range page.Items {
			delete(untold, i.ID)
		}
		for _, gone := range page.Removed.Items {
			delete(untold, gone)
		}
	}
}

// checkRows wants each write in the feed and in the audit log, and nothing made twice.
func (c *trial) checkRows() {
	ctx := c.t.Context()
	conn, err := pgx.Connect(ctx, c.OwnerURL())
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for table, query := range map[string]string{
		"feed":      `SELECT event, entity_id, count(*) FROM grocery.change_feed WHERE family_id = $1 GROUP BY 1, 2`,
		"audit log": `SELECT action, target, count(*) FROM grocery.audit_events WHERE family_id = $1 AND result = 'success' GROUP BY 1, 2`,
	} {
		found := map[deed]int{}
		rows, err := conn.Query(ctx, query, c.Demo.FamilyID)
		if err != nil {
			c.t.Fatal(err)
		}
		var d deed
		var count int
		if _, err := pgx.ForEachRow(rows, []any{&d.Event, &d.Item, &count}, func() error {
			found[d] = count
			return nil
		}); err != nil {
			c.t.Fatal(err)
		}
		for _, p := range c.people {
			for _, d := range p.deeds {
				if n := found[d]; n == 0 || n > 1 && d.Event != "item.updated" {
					c.t.Errorf("the %s has %v %d times", table, d, n)
				}
			}
		}
	}
}
