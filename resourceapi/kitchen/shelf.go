package kitchen

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/shopping"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// Entry is what all things have in common. A thing embeds it. Permissions are the
// actions that the policy lets the caller do to it; absent from /sync.
type Entry struct {
	ID          id.ID     `json:"id"`
	Name        string    `json:"name"`
	Version     int64     `json:"version"`
	CreatedBy   string    `json:"created_by"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	Permissions []string  `json:"permissions,omitzero"`
}

// Common is what a thing has in common with others.
func (e *Entry) Common() *Entry { return e }

// Thing is a pointer to a T, which embeds Entry.
type Thing[T any] interface {
	*T
	Common() *Entry
	// Scan reads a row, of the columns that every statement of SQL returns.
	Scan(row pgx.Row) error
	// Values are those that are written, the third parameter and what follows.
	Values() []any
}

// Change is what a body asks for. Its members are each a valid.Field.
type Change[T any] interface {
	// Apply changes to and checks what has become of it.
	Apply(to *T) error
}

// SQL are the statements on a sort of things. The first parameter is the family.
type SQL struct {
	All  string // in the order in which they are shown, and bounded
	Some string // $2: ids
	// Namesake finds the thing of a name, $2: shopping.Key. It is then what
	// somebody who adds another of that name gets. "": names may repeat.
	Namesake string
	Count    string
	Insert   string // $2: id, $3…: Values, the last one: who
	Update   string // $2: id, $3…: Values
	Delete   string // $2: id
}

// Events are what the feed calls what happens.
type Events struct{ Added, Changed, Removed string }

// Shelf keeps things of one sort.
type Shelf[T any, C Change[T], P Thing[T]] struct {
	DB     *tenant.DB
	Noun   string // of operations: store
	Path   string // of the collection, behind the family's, and its name in answers: stores
	Param  string // the id in a path: store_id
	Events Events
	SQL    SQL
	Most   int    // of one family
	Full   string // says that there are as many
	New    T      // a thing of which nothing is said
	// Settle, if set, has the last word on a change, in its transaction and after
	// leave to keep the kitchen. before is nil for a thing that is new.
	Settle func(ctx context.Context, tx *tenant.Tx, before, after P) error
}

func scan[T any, P Thing[T]](to *T, row pgx.Row) error { return P(to).Scan(row) }

// One queues the reading of a thing, with which Send fails if it is not there.
func (s *Shelf[T, C, P]) One(tx *tenant.Tx, to P, thing id.ID) {
	tx.Row(to.Scan, s.SQL.Some, tx.Family, []id.ID{thing})
}

// Lock is One, with nobody changing the thing until the transaction ends.
func (s *Shelf[T, C, P]) Lock(tx *tenant.Tx, to P, thing id.ID) {
	tx.Row(to.Scan, s.SQL.Some+` FOR UPDATE`, tx.Family, []id.ID{thing})
}

// permitted lists what the caller may do to a thing that is shown to him: to one
// as to the other.
func permitted(ctx context.Context, tx *tenant.Tx) []string {
	return tx.Permitted(ctx, tx.FamilyResource(), policy.KitchenRead, policy.KitchenKeep)
}

func (s *Shelf[T, C, P]) selectAll(ctx context.Context, family id.ID) ([]T, error) {
	all := []T{}
	return all, s.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &all, scan[T, P], s.SQL.All, family)
		if err := tx.SendFor(ctx, policy.KitchenRead); err != nil {
			return err
		}
		may := permitted(ctx, tx)
		for i := range all {
			P(&all[i]).Common().Permissions = may
		}
		return nil
	})
}

func (s *Shelf[T, C, P]) selectOne(ctx context.Context, family, thing id.ID) (*T, error) {
	found := new(T)
	return found, s.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		s.One(tx, found, thing)
		if err := tx.SendFor(ctx, policy.KitchenRead); err != nil {
			return err
		}
		P(found).Common().Permissions = permitted(ctx, tx)
		return nil
	})
}

// state is what an addition meets: the things of that id and of that name, if there
// are such, and how many there are.
type state[T any] struct {
	there, namesake *T
	count           int
}

// look queues the reading of the state. name is "" for what is no addition.
func (s *Shelf[T, C, P]) look(tx *tenant.Tx, thing id.ID, name string) *state[T] {
	found := &state[T]{}
	tenant.Maybe(tx, &found.there, scan[T, P], s.SQL.Some+` FOR UPDATE`, tx.Family, []id.ID{thing})
	if s.SQL.Namesake != "" && name != "" {
		tenant.Maybe(tx, &found.namesake, scan[T, P], s.SQL.Namesake, tx.Family, shopping.Key(name))
	}
	tx.Row(func(row pgx.Row) error { return row.Scan(&found.count) }, s.SQL.Count, tx.Family)
	return found
}

func (s *Shelf[T, C, P]) create(ctx context.Context, family id.ID, draft *T) (*T, error) {
	made := new(T)
	return made, s.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		found := s.look(tx, P(draft).Common().ID, P(draft).Common().Name)
		if err := tx.SendFor(ctx, policy.KitchenKeep); err != nil {
			return err
		}
		switch {
		case found.there == nil && found.namesake != nil:
			*made = *found.namesake
		case found.there == nil:
			if err := s.insert(ctx, tx, found.count, draft, made); err != nil {
				return err
			}
		case P(found.there).Common().Name != P(draft).Common().Name || P(found.there).Common().CreatedBy != tx.Principal():
			return tenant.Taken()
		default:
			*made = *found.there
		}
		P(made).Common().Permissions = permitted(ctx, tx)
		return nil
	})
}

// insert queues the draft; once that is sent, it is what was made.
func (s *Shelf[T, C, P]) insert(ctx context.Context, tx *tenant.Tx, count int, draft, made P) error {
	if count >= s.Most {
		return fault.New(fault.Conflict, s.Full).WithCode("too_many")
	}
	if s.Settle != nil {
		if err := s.Settle(ctx, tx, nil, draft); err != nil {
			return err
		}
	}
	*made = *draft // with what no column holds
	thing := draft.Common().ID
	tx.Row(made.Scan, s.SQL.Insert, s.args(tx, thing, draft, tx.Principal())...)
	tx.Record(ctx, tenant.Change{Event: s.Events.Added, Entity: thing.String(), Version: 1})
	return nil
}

func (s *Shelf[T, C, P]) args(tx *tenant.Tx, thing id.ID, from P, more ...any) []any {
	return append(append([]any{tx.Family, thing}, from.Values()...), more...)
}

// update changes a thing by what apply makes of it.
func (s *Shelf[T, C, P]) update(ctx context.Context, family, thing id.ID, apply func(*T) error) (*T, error) {
	after := new(T)
	return after, s.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		s.Lock(tx, after, thing)
		if err := tx.SendFor(ctx, policy.KitchenKeep); err != nil {
			return err
		}
		before := *after
		if err := apply(after); err != nil {
			return err
		}
		P(after).Common().Permissions = permitted(ctx, tx)
		return s.save(ctx, tx, &before, after)
	})
}

// save queues what has become of a thing; once that is sent, after is what is
// there.
func (s *Shelf[T, C, P]) save(ctx context.Context, tx *tenant.Tx, before, after P) error {
	if s.Settle != nil {
		if err := s.Settle(ctx, tx, before, after); err != nil {
			return err
		}
	}
	e := *before.Common()
	tx.Row(after.Scan, s.SQL.Update, s.args(tx, e.ID, after)...)
	tx.Record(ctx, tenant.Change{Event: s.Events.Changed, Entity: e.ID.String(), Version: e.Version + 1})
	return nil
}

func (s *Shelf[T, C, P]) remove(ctx context.Context, family, thing id.ID, guard func(version int64) error) error {
	return s.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		there := P(new(T))
		s.Lock(tx, there, thing)
		if err := tx.SendFor(ctx, policy.KitchenKeep); err != nil {
			return err
		}
		if err := guard(there.Common().Version); err != nil {
			return err
		}
		s.delete(ctx, tx, thing)
		return nil
	})
}

func (s *Shelf[T, C, P]) delete(ctx context.Context, tx *tenant.Tx, thing id.ID) {
	tx.Queue(s.SQL.Delete, tx.Family, thing)
	tx.Record(ctx, tenant.Change{Event: s.Events.Removed, Entity: thing.String()})
}
