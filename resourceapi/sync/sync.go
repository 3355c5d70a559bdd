package sync

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/tenant"
)

const (
	maxOperations = 100 // of one request
	maxChanges    = 200 // of one answer
)

// Items carries out operations on items, and reads them.
type Items interface {
	Apply(ctx context.Context, family id.ID, op tenant.Operation) (tenant.Outcome, error)
	Current(ctx context.Context, family id.ID, items, whole []id.ID) (map[id.ID]any, error)
}

// Lists carries out operations on lists, and reads them.
type Lists interface {
	Apply(ctx context.Context, family id.ID, op tenant.Operation) (tenant.Outcome, error)
	Current(ctx context.Context, family id.ID, lists []id.ID) (map[id.ID]any, error)
}

// Shelf carries out operations on the things of one noun, and reads them.
type Shelf interface {
	Collection() string // what they are called together
	Apply(ctx context.Context, family id.ID, op tenant.Operation) (tenant.Outcome, error)
	Current(ctx context.Context, family id.ID, things []id.ID) (map[id.ID]any, error)
}

// Quota counts what a request does besides the first thing.
type Quota interface {
	More(ctx context.Context) error
}

// Sync answers clients that catch up.
type Sync struct {
	DB      *tenant.DB
	Quota   Quota
	Items   Items
	Lists   Lists
	Kitchen map[string]Shelf // by noun
}

// Mount adds the route.
func (h *Sync) Mount(rt *web.Router) {
	rt.Handle(http.MethodPost, "/v1/families/{family_id}/sync", h.sync)
}

type request struct {
	Cursor     string            `json:"cursor"`
	Operations []json.RawMessage `json:"operations"`
}

// envelope is what is read of an operation here.
type envelope struct {
	OperationID id.ID  `json:"operation_id"`
	Op          string `json:"op"`
}

type result struct {
	OperationID id.ID    `json:"operation_id"`
	Status      string   `json:"status"`
	Conflicts   []string `json:"conflicts,omitempty"`
	Current     any      `json:"current"`
	Replayed    bool     `json:"replayed,omitempty"`
	Error       *reason  `json:"error,omitempty"`
}

// reason says why an operation was rejected: what a request of its own would
// have been answered.
type reason struct {
	Status int           `json:"status"`
	Code   string        `json:"code,omitempty"`
	Detail string        `json:"detail"`
	Errors []fault.Field `json:"errors,omitempty"`
}

func (h *Sync) sync(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var asked request
	if err := web.DecodeJSON(r, &asked); err != nil {
		return err
	}
	after, operations, err := asked.read()
	if err != nil {
		return err
	}
	ctx := tenant.WithKey(r.Context(), nil) // each operation has an id of its own
	// Who may not have the changes is told so before anything is changed.
	if _, err := h.DB.Follow(ctx, family, tenant.Cursor{}, maxChanges); err != nil {
		return err
	}
	results := make([]result, 0, len(operations))
	for i, op := range operations {
		done, err := h.apply(ctx, family, op, i > 0)
		if err != nil {
			return err
		}
		results = append(results, done)
	}
	got, err := h.since(ctx, family, after)
	if err != nil {
		return err
	}
	got["results"] = results
	return web.JSON(w, http.StatusOK, got)
}

func (q *request) read() (after tenant.Cursor, operations []tenant.Operation, err error) {
	var f valid.Form
	if q.Cursor != "" {
		if after, err = tenant.ParseCursor(q.Cursor); err != nil {
			f.Fault("/cursor", "must be one that this family's feed or sync gave out")
		}
	}
	if len(q.Operations) > maxOperations {
		f.Fault("/operations", "must be at most "+strconv.Itoa(maxOperations))
		return after, nil, f.Err()
	}
	for i, raw := range q.Operations {
		var e envelope
		if err := json.Unmarshal(raw, &e); err != nil || e.OperationID.IsZero() || e.Op == "" {
			f.Fault("/operations/"+strconv.Itoa(i), "must be an object with operation_id and op")
			continue
		}
		operations = append(operations, tenant.Operation{ID: e.OperationID, Kind: e.Op, Body: raw})
	}
	return after, operations, f.Err()
}

// apply carries out one operation, which counts as a request does: the first is
// counted already. Past the quota it is rejected, to be sent again. Its error is one that ends the request, such
// as a database that is gone: what was carried out before it, the client learns
// when it sends all of it again.
func (h *Sync) apply(ctx context.Context, family id.ID, op tenant.Operation, more bool) (result, error) {
	var out tenant.Outcome
	var err error
	if more {
		err = h.Quota.More(ctx)
	}
	if err == nil {
		out, err = h.carryOut(ctx, family, op)
	}
	if fault.Is(err, fault.Conflict) { // the same operation may have won a race: then this is its outcome too
		out, err = h.carryOut(ctx, family, op)
	}
	if err == nil {
		return result{OperationID: op.ID, Status: out.Status, Conflicts: out.Conflicts, Current: out.Current, Replayed: out.Replayed}, nil
	}
	shown, ok := web.Shown(err)
	if !ok || shown.Kind == fault.Unavailable || shown.Kind == fault.Internal {
		return result{}, err
	}
	why := &reason{Status: web.Status(err), Code: shown.Code, Detail: shown.Message, Errors: shown.Fields}
	return result{OperationID: op.ID, Status: "rejected", Error: why}, nil
}

func (h *Sync) carryOut(ctx context.Context, family id.ID, op tenant.Operation) (tenant.Outcome, error) {
	noun, _, _ := strings.Cut(op.Kind, ".")
	switch noun {
	case "item":
		return h.Items.Apply(ctx, family, op)
	case "list":
		return h.Lists.Apply(ctx, family, op)
	}
	if shelf := h.Kitchen[noun]; shelf != nil {
		return shelf.Apply(ctx, family, op)
	}
	var f valid.Form
	f.Fault("/op", "is none that is known here")
	return tenant.Outcome{}, f.Err()
}
