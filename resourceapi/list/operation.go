package list

import (
	"context"
	"encoding/json"
	"reflect"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// operation is what a client did to a list while it was offline.
type operation struct {
	OperationID id.ID        `json:"operation_id"`
	Op          string       `json:"op"`
	ID          id.ID        `json:"id"`
	Version     int64        `json:"version"` // that the client acted upon; 0 when it does not say
	Fields      tenant.Edits `json:"fields"`
	// Items are those that the client knew on the list which it removes, with their
	// versions; 0 where it does not say.
	Items map[id.ID]int64 `json:"items"`

	draft    draft   // of opAdd
	assignee *string // that is wanted
}

// The kinds of operation.
const (
	opAdd    = "list.add"
	opEdit   = "list.edit"
	opRemove = "list.remove"
)

func readOperation(op tenant.Operation) (*operation, error) {
	o := &operation{}
	if err := web.ReadJSON(op.Body, o); err != nil {
		return nil, err
	}
	var f valid.Form
	f.OneOf("/op", o.Op, opAdd, opEdit, opRemove)
	if o.ID.IsZero() {
		f.Fault("/id", "is required")
	}
	if _, there := o.Fields["id"]; there {
		f.Fault("/fields/id", "unknown member")
	}
	if o.Items != nil && o.Op != opRemove {
		f.Fault("/items", "is for list.remove")
	}
	o.Fields.Check(&f)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return o, tenant.InFields(o.readFields())
}

func (o *operation) readFields() (err error) {
	switch o.Op {
	case opAdd:
		if o.draft, err = tenant.ReadMembers[draft](o.Fields.Values()); err != nil {
			return err
		}
		o.draft.ID, o.assignee = o.ID, o.draft.Assignee
		return o.draft.check()
	case opEdit:
		c, err := tenant.ReadMembers[change](o.Fields.Values())
		if err != nil {
			return err
		}
		var f valid.Form
		o.assignee = c.Assignee.Value
		checkPerson(&f, o.assignee) // before the database is asked about him
		return f.Err()
	}
	return nil
}

// Apply carries out an operation, once however often it is sent. A member that
// somebody else has changed meanwhile stays as it is and is reported; the
// others change. An operation that cannot be carried out is an error.
func (h *Lists) Apply(ctx context.Context, family id.ID, op tenant.Operation) (tenant.Outcome, error) {
	o, err := readOperation(op)
	if err != nil {
		return tenant.Outcome{}, err
	}
	return h.apply(ctx, family, op, o)
}

// deed is an operation under way.
type deed struct {
	*operation
	tx       *tenant.Tx
	there    *List // nil when it is gone, or hidden from the caller
	now      *List // what is there afterwards
	count    int
	last     float64
	unseen   bool // something on the list that the client did not know, or not as it is
	sources  map[id.ID]*tenant.List
	assigned func(kind string) error
}

func (h *Lists) apply(ctx context.Context, family id.ID, op tenant.Operation, o *operation) (out tenant.Outcome, err error) {
	d := &deed{operation: o}
	err = h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		d.tx = tx
		once := tx.Once(op)
		d.look()
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if err := d.may(ctx); err != nil {
			return err
		}
		if err := once.Check(); err != nil {
			return err
		}
		if d.now = d.there; once.Before != nil {
			out = *once.Before
			return nil
		}
		if out, err = h.carryOut(ctx, d); err == nil {
			once.Done(out)
		}
		return err
	})
	if d.now != nil {
		out.Current = *d.now
	}
	return out, err
}

// look queues the reading of what the operation is about.
func (d *deed) look() {
	tenant.Maybe(d.tx, &d.there, (*List).scan, lockList, d.tx.Family, d.ID)
	d.assigned = queueAssignee(d.tx, d.assignee)
	switch d.Op {
	case opRemove:
		d.tx.Queue(selectVersions, d.tx.Family, d.ID).Query(d.scanItems)
		return
	case opEdit:
		return
	}
	d.tx.Row(func(row pgx.Row) error { return row.Scan(&d.count, &d.last) }, selectEnd, d.tx.Family)
	if d.draft.From != nil {
		d.sources = d.tx.Lists([]id.ID{*d.draft.From})
	}
}

func (d *deed) scanItems(rows pgx.Rows) error {
	for rows.Next() {
		var item id.ID
		var version int64
		if err := rows.Scan(&item, &version); err != nil {
			return err
		}
		known, there := d.Items[item]
		d.unseen = d.unseen || !there || known != 0 && known != version
	}
	return rows.Err()
}

// may asks the policy what it is asked about a request of its own. A list that
// is gone counts as one that the caller had made: what is not there harms nobody.
func (d *deed) may(ctx context.Context) error {
	action := policy.ListUpdate
	switch d.Op {
	case opAdd:
		return d.tx.May(ctx, policy.ListCreate, d.tx.NewList(d.draft.Kind))
	case opRemove:
		action = policy.ListDelete
	}
	facts := d.tx.Seen(d.ID, policy.Shared, nil, d.tx.Principal())
	if l := d.there; l != nil {
		facts = d.tx.Seen(l.ID, l.Kind, l.Owner, l.CreatedBy)
	}
	return d.tx.May(ctx, action, facts.Resource())
}

func (h *Lists) carryOut(ctx context.Context, d *deed) (tenant.Outcome, error) {
	out := tenant.Outcome{Status: tenant.Applied}
	stale := d.there != nil && d.Version != 0 && d.there.Version != d.Version // the client had not seen what is there
	if stale {
		out.Status = tenant.Merged
	}
	switch {
	case d.Op == opAdd && d.there == nil:
		return out, d.add(ctx)
	case d.Op == opAdd: // it came by another way, or so long ago that it is forgotten
		if d.there.CreatedBy != d.tx.Principal() {
			return out, tenant.Taken()
		}
		return out, nil
	case d.Op == opRemove && d.there == nil:
		return out, nil
	case d.Op == opRemove && d.unseen:
		return tenant.Outcome{Status: tenant.Conflict, Conflicts: []string{"items"}}, nil
	case d.Op == opRemove && stale, d.there == nil: // what somebody did would be lost; or somebody removed it
		return tenant.Outcome{Status: tenant.Conflict}, nil
	case d.Op == opRemove:
		d.there.drop(ctx, d.tx, d.there.owner())
		d.now = nil
		return out, nil
	}
	conflicts, err := h.edit(ctx, d)
	if len(conflicts) > 0 {
		out = tenant.Outcome{Status: tenant.Conflict, Conflicts: conflicts}
	}
	return out, err
}

func (d *deed) add(ctx context.Context) error {
	if from := d.draft.From; from != nil {
		source := d.sources[*from]
		if source == nil {
			return fault.New(fault.NotFound, "There is no such list to copy from.")
		}
		if err := d.tx.May(ctx, policy.ListRead, source.Resource()); err != nil {
			return err
		}
	}
	if err := d.assigned(d.draft.Kind); err != nil {
		return tenant.InFields(err)
	}
	d.now = &List{}
	return d.draft.queue(ctx, d.tx, d.count, d.last, d.now)
}

func (h *Lists) edit(ctx context.Context, d *deed) (conflicts []string, err error) {
	now, unsaid := h.DB.Now(), map[string]bool{"template": false, "archived": false}
	with := func(l List, name string, value json.RawMessage) (List, error) {
		c, err := tenant.ReadMembers[change](tenant.Members{name: value})
		if err != nil {
			return l, err
		}
		return l, c.apply(&l, now)
	}
	after, conflicts, err := tenant.Merge(*d.there, unsaid, d.Fields, with)
	if err != nil || reflect.DeepEqual(after, *d.there) {
		return conflicts, err
	}
	if !reflect.DeepEqual(after.Assignee, d.there.Assignee) {
		if err := d.assigned(after.Kind); err != nil {
			return nil, tenant.InFields(err)
		}
	}
	d.now = &after
	after.save(ctx, d.tx, d.there.owner())
	return conflicts, nil
}

// owner is that of a personal list.
func (l *List) owner() string {
	if l.Owner == nil {
		return ""
	}
	return *l.Owner
}
