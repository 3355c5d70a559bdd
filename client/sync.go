package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

const operationsAtOnce = 100

// Operation is a change made offline. Its OperationID, a UUID, is good for seven days: sent again, it is not carried out
// again.
type Operation struct {
	OperationID string `json:"operation_id"`
	// Op is item.add, item.edit, item.move, item.check, item.uncheck or item.remove, or one of add, edit and remove
	// for list, store, recipe, pantry, recurring and favourite.
	Op     string          `json:"op"`
	ListID string          `json:"list_id,omitempty"` // of an item
	ItemID string          `json:"item_id,omitempty"` // of an item; when it is added, made by the client
	ID     string          `json:"id,omitempty"`      // of any other thing; when it is added, made by the client
	Known  *int64          `json:"version,omitempty"`
	Fields map[string]Edit `json:"fields,omitempty"`
	// Items are those that the client knew on a list which it removes, and their versions; 0 for one that it changed itself.
	Items map[string]int64 `json:"items,omitempty"`
	After json.RawMessage  `json:"after,omitempty"` // of an item: an id, or null for the front
}

// Edit is a member of a thing: the value that the client knew and the one that it wants.
type Edit struct {
	Base  any `json:"base,omitempty"`
	Value any `json:"value"`
}

// Result is what became of an operation.
type Result struct {
	OperationID string   `json:"operation_id"`
	Status      string   `json:"status"` // applied, merged, conflict or rejected
	Conflicts   []string `json:"conflicts"`
	// Current is the thing as it is now, an Item, List, Store, Recipe, Stock, Recurring or Favourite; null if it is gone.
	Current  json.RawMessage `json:"current"`
	Replayed bool            `json:"replayed"`
	Error    *RejectedError  `json:"error"`
}

// RejectedError says why an operation was rejected, as a request of its own would have been.
type RejectedError struct {
	Status int             `json:"status"`
	Code   string          `json:"code"`
	Detail string          `json:"detail"`
	Errors json.RawMessage `json:"errors"`
}

// Synced is an answer: what became of the operations, in their order, and what changed after the cursor. Reset means
// that everything has to be read afresh. Keep the Cursor.
type Synced struct {
	Results    []Result    `json:"results"`
	Cursor     string      `json:"cursor"`
	Reset      bool        `json:"reset"`
	More       bool        `json:"more"`
	Lists      []List      `json:"lists"`
	Items      []Item      `json:"items"`
	Stores     []Store     `json:"stores"`
	Recipes    []Recipe    `json:"recipes"`
	Pantry     []Stock     `json:"pantry"`
	Recurring  []Recurring `json:"recurring"`
	Favourites []Favourite `json:"favourites"`
	Removed    Removed     `json:"removed"`
}

// Removed holds the ids of what is gone. The items of a removed list, and what recurred on it, are not named.
type Removed struct {
	Lists      []string `json:"lists"`
	Items      []string `json:"items"`
	Stores     []string `json:"stores"`
	Recipes    []string `json:"recipes"`
	Pantry     []string `json:"pantry"`
	Recurring  []string `json:"recurring"`
	Favourites []string `json:"favourites"`
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
