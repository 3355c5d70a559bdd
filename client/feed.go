package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"
)

// Change is something that happened in a family; read what it is now, if that matters.
type Change struct {
	Event      string    `json:"event"` // noun.verb: item.checked
	ListID     string    `json:"list_id"`
	EntityID   string    `json:"entity_id"`
	Version    int64     `json:"version"`
	Actor      string    `json:"actor"`
	OccurredAt time.Time `json:"occurred_at"`
}

// Event is one of the feed: ready, reset (read everything afresh) or change. ID is where to go on, and a cursor for Sync.
type Event struct {
	ID     string
	Kind   string
	Change *Change // of a change
}

// Feed follows a family from the event last on, "" for now. It goes on over broken connections and expired tokens until
// ctx is done, the loop is left, or the caller may follow no more, which is its last error.
func (c *Client) Feed(ctx context.Context, family, last string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for ctx.Err() == nil {
			asked := call{method: http.MethodGet, path: familyPath(family) + "/feed", header: http.Header{}}
			if last != "" {
				asked.header.Set("Last-Event-ID", last)
			}
			answer, err := c.send(ctx, asked)
			if err != nil {
				yield(Event{}, err)
				return
			}
			left := false
			end := read(answer.Body, func(e Event) bool {
				last = e.ID
				left = !yield(e, nil)
				return !left
			})
			_ = answer.Body.Close()
			if left {
				return
			}
			if end != nil {
				yield(Event{}, end)
				return
			}
			if sleep(ctx, firstWait) != nil {
				return
			}
		}
	}
}

// read hands the events of one connection out until it ends or yield says no. An error means that connecting again is
// of no use.
func read(body io.Reader, yield func(Event) bool) error {
	lines := bufio.NewScanner(body)
	var e Event
	var data string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.Kind = value
		case "id":
			e.ID = value
		case "data":
			data = value
		case "": // an empty line, or a comment
			if lines.Text() != "" || e.Kind == "" {
				continue
			}
			if e.Kind == "end" {
				return ended(data)
			}
			if e.Kind == "change" {
				e.Change = &Change{}
				if err := json.Unmarshal([]byte(data), e.Change); err != nil {
					return err
				}
			}
			if !yield(e) {
				return nil
			}
			e, data = Event{ID: e.ID}, ""
		}
	}
	return nil
}

func ended(reason string) error {
	switch reason {
	case "removed", "refused", "revoked":
		return errors.New("larder: the feed has ended: " + reason)
	default: // expired, unavailable, shutdown
		return nil
	}
}
