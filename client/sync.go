package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

const operationsAtOnce = 100

// Operation is a change made offline. Its id, a UUID, is good for seven days: sent again, it is not carried out again.
type Operation struct {
	ID     string          `json:"operation_id"`
	Op     string          `json:"op"` // item.add, item.edit, item.move, item.check, item.uncheck or item.remove
	ListID string          `json:"list_id"`
	ItemID string          `json:"item_id"` // of item.add: made by the client
	Known  *int64          `json:"version,omitempty"`
	Fields map[string]Edit `json:"fields,omitempty"`
	After  json.RawMessage `json:"after,omitempty"` // an id, or null for the front
}

// Edit is a member of an item: the value that the client knew and the one that it wants.
type Edit struct {
	Base  any `json:"base,omitempty"`
	Value any `json:"value"`
}

// Result is what became of an operation.
type Result struct {
	OperationID string         `json:"operation_id"`
	Status      string         `json:"status"` // applied, merged, conflict or rejected
	Conflicts   []string       `json:"conflicts"`
	Current     *Item          `json:"current"` // as it is now, nil if it is gone
	Replayed    bool           `json:"replayed"`
	Error       *RejectedError `json:"error"`
}

// RejectedError says why an operation was rejected, as a request of its own would have been.
type RejectedError struct {
	Status int             `json:"status"`
	Code   string          `json:"code"`
	Detail string          `json:"detail"`
	Errors json.RawMessage `json:"errors"`
}

// Synced is an answer: what became of the operations, in their order, and what changed after the cursor. Reset means
// that lists and items have to be read afresh. Keep the Cursor.
type Synced struct {
	Results []Result `json:"results"`
	Cursor  string   `json:"cursor"`
	Reset   bool     `json:"reset"`
	More    bool     `json:"more"`
	Lists   []List   `json:"lists"`
	Items   []Item   `json:"items"`
	Removed struct {
		Lists []string `json:"lists"`
		Items []string `json:"items"`
	} `json:"removed"`
}

// Sync hands in operations, in their order, and takes what others did after the cursor, "" at the first time. It goes
// on until there is nothing more; the first error ends it, and what was yielded before stands.
func (c *Client) Sync(ctx context.Context, family, cursor string, operations []Operation) iter.Seq2[*Synced, error] {
	return func(yield func(*Synced, error) bool) {
		for more := true; more || len(operations) > 0; {
			asked := struct {
				Cursor     string      `json:"cursor,omitempty"`
				Operations []Operation `json:"operations,omitempty"`
			}{cursor, operations[:min(len(operations), operationsAtOnce)]}
			answer, err := get[Synced](ctx, c, call{method: http.MethodPost, path: familyPath(family) + "/sync", body: asked})
			if !yield(answer, err) || err != nil {
				return
			}
			operations = operations[len(asked.Operations):]
			cursor, more = answer.Cursor, answer.More
		}
	}
}
