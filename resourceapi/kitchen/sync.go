package kitchen

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"

	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// operation is what a client did to a thing while it was offline.
type operation struct {
	OperationID id.ID        `json:"operation_id"`
	Op          string       `json:"op"`
	ID          id.ID        `json:"id"`
	Version     int64        `json:"version"` // that the client acted upon; 0 when it does not say
	Fields      tenant.Edits `json:"fields"`
}

func (s *Shelf[T, C, P]) readOperation(op tenant.Operation) (*operation, error) {
	o := &operation{}
	if err := web.ReadJSON(op.Body, o); err != nil {
		return nil, err
	}
	var f valid.Form
	f.OneOf("/op", o.Op, s.Noun+".add", s.Noun+".edit", s.Noun+".remove")
	if o.ID.IsZero() {
		f.Fault("/id", "is required")
	}
	o.Fields.Check(&f)
	return o, f.Err()
}

// Collection is the path of the things, and their name in answers.
func (s *Shelf[T, C, P]) Collection() string { return s.Path }

// Apply carries out an operation, once however often it is sent. A member that
// somebody else has changed meanwhile stays as it is and is reported; the
// others change. An operation that cannot be carried out is an error.
func (s *Shelf[T, C, P]) Apply(ctx context.Context, family id.ID, op tenant.Operation) (tenant.Outcome, error) {
	o, err := s.readOperation(op)
	if err != nil {
		return tenant.Outcome{}, err
	}
	var draft P // of an addition
	if o.Op == s.Noun+".add" {
		if draft, err = s.draftOf(o); err != nil {
			return tenant.Outcome{}, err
		}
	}
	return s.apply(ctx, family, op, o, draft)
}

func (s *Shelf[T, C, P]) apply(ctx context.Context, family id.ID, op tenant.Operation, o *operation, draft P) (out tenant.Outcome, err error) {
	var now *T // what is there afterwards; nil when it is gone
	var name string
	if draft != nil {
		name = draft.Common().Name
	}
	err = s.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		once, found := tx.Once(op), s.look(tx, o.ID, name)
		if err := tx.SendFor(ctx, policy.KitchenKeep); err != nil {
			return err
		}
		if err := once.Check(); err != nil {
			return err
		}
		if now = cmp.Or(found.there, found.namesake); once.Before != nil {
			out = *once.Before
			return nil
		}
		if draft != nil {
			now, out, err = s.add(ctx, tx, draft, found)
		} else {
			now, out, err = s.carryOut(ctx, tx, o, now)
		}
		if err != nil {
			return err
		}
		once.Done(out)
		return nil
	})
	if now != nil {
		out.Current = *now
	}
	return out, err
}

// add queues the addition of the draft. What is there already is the outcome
// instead: a thing of that id came by another way, or so long ago that it is
// forgotten; one of that name goes by another id.
func (s *Shelf[T, C, P]) add(ctx context.Context, tx *tenant.Tx, draft P, found *state[T]) (now *T, out tenant.Outcome, err error) {
	switch {
	case found.there != nil && P(found.there).Common().CreatedBy != tx.Principal():
		return nil, out, tenant.Taken()
	case found.there != nil:
		return found.there, tenant.Outcome{Status: tenant.Applied}, nil
	case found.namesake != nil:
		return found.namesake, tenant.Outcome{Status: tenant.Merged}, nil
	}
	now = new(T)
	return now, tenant.Outcome{Status: tenant.Applied}, s.insert(ctx, tx, found.count, draft, now)
}

// carryOut queues what the operation, no addition, does to there, which is nil
// for a thing that is not there.
func (s *Shelf[T, C, P]) carryOut(ctx context.Context, tx *tenant.Tx, o *operation, there *T) (now *T, out tenant.Outcome, err error) {
	out.Status = tenant.Applied
	stale := false // the client had not seen what is there
	if there != nil && o.Version != 0 && P(there).Common().Version != o.Version {
		stale, out.Status = true, tenant.Merged
	}
	switch {
	case o.Op == s.Noun+".remove" && there == nil:
		return nil, out, nil
	case o.Op == s.Noun+".remove" && stale, there == nil: // what somebody did would be lost; or somebody removed it
		return there, tenant.Outcome{Status: tenant.Conflict}, nil
	case o.Op == s.Noun+".remove":
		s.delete(ctx, tx, o.ID)
		return nil, out, nil
	}
	after, conflicts, err := tenant.Merge(*there, s.New, o.Fields, with[T, C])
	if err == nil && !reflect.DeepEqual(after, *there) {
		err = s.save(ctx, tx, there, &after)
	}
	if len(conflicts) > 0 {
		out = tenant.Outcome{Status: tenant.Conflict, Conflicts: conflicts}
	}
	return &after, out, err
}

func (s *Shelf[T, C, P]) draftOf(o *operation) (*T, error) {
	draft, err := s.draft(o.Fields.Values())
	if err != nil {
		return nil, tenant.InFields(err)
	}
	P(draft).Common().ID = o.ID
	return draft, nil
}

// with is what t would be with this value. So a value is compared as it would
// be kept, and not as it is written.
func with[T any, C Change[T]](t T, name string, value json.RawMessage) (T, error) {
	c, err := tenant.ReadMembers[C](tenant.Members{name: value})
	if err != nil {
		return t, err
	}
	return t, c.Apply(&t)
}

// Current reads things; what is gone is not among them.
func (s *Shelf[T, C, P]) Current(ctx context.Context, family id.ID, things []id.ID) (map[id.ID]any, error) {
	var all []T
	err := s.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &all, scan[T, P], s.SQL.Some, family, things)
		return tx.SendFor(ctx, policy.KitchenRead)
	})
	found := make(map[id.ID]any, len(all))
	for i := range all {
		found[P(&all[i]).Common().ID] = all[i]
	}
	return found, err
}
