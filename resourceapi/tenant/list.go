package tenant

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/resourceapi/policy"
)

const selectListFacts = `
SELECT kind, coalesce(owner, ''), created_by, archived_at FROM grocery.lists WHERE family_id = $1 AND id = $2`

const selectListsFacts = `
SELECT id, kind, coalesce(owner, ''), created_by, archived_at FROM grocery.lists WHERE family_id = $1 AND id = ANY ($2)`

// List is what the policy needs to know of a list and its items.
type List struct {
	ID         id.ID
	Kind       string
	Owner      string // of a personal list
	CreatedBy  string // principal
	ArchivedAt *time.Time
	Grants     []policy.Verb // the caller's own

	family id.ID
}

// List queues the reading of a list that the caller can reach; Send fails with
// fault.NotFound if there is none.
func (tx *Tx) List(list id.ID) *List {
	l := &List{ID: list, family: tx.Family}
	tx.Row(func(row pgx.Row) error {
		l.Grants = tx.grants[list.String()]
		return row.Scan(&l.Kind, &l.Owner, &l.CreatedBy, &l.ArchivedAt)
	}, selectListFacts, tx.Family, list)
	return l
}

// Lists queues the reading of those of the lists that the caller can reach.
// What is missing in the map after Send is not there for him.
func (tx *Tx) Lists(lists []id.ID) map[id.ID]*List {
	found := make(map[id.ID]*List, len(lists))
	tx.Queue(selectListsFacts, tx.Family, lists).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			l := &List{family: tx.Family}
			if err := rows.Scan(&l.ID, &l.Kind, &l.Owner, &l.CreatedBy, &l.ArchivedAt); err != nil {
				return err
			}
			l.Grants = tx.grants[l.ID.String()]
			found[l.ID] = l
		}
		return rows.Err()
	})
	return found
}

// Resource is the list for the policy.
func (l *List) Resource() policy.Resource {
	r := policy.Resource{Type: policy.ListResource, ID: l.ID, Family: l.family, Kind: l.Kind, Owner: l.Owner, Grants: l.Grants}
	if l.Kind == policy.Shared {
		r.Owner, _ = strings.CutPrefix(l.CreatedBy, string(policy.User)+":")
		if r.Owner == l.CreatedBy {
			r.Owner = "" // a machine made it
		}
	}
	return r
}

// NewList is a list for the policy that the caller is about to make.
func (tx *Tx) NewList(kind string) policy.Resource {
	r := tx.Resource(policy.ListResource, id.ID{})
	r.Kind = kind
	if tx.IsUser() {
		r.Owner = tx.Caller.Subject
	}
	return r
}

// Seen is a list that a query of the caller's own found.
func (tx *Tx) Seen(list id.ID, kind string, owner *string, createdBy string) *List {
	l := &List{ID: list, Kind: kind, CreatedBy: createdBy, Grants: tx.grants[list.String()], family: tx.Family}
	if owner != nil {
		l.Owner = *owner
	}
	return l
}

// Item is an item on the list for the policy; its id is the list's, because
// who may read the list may know of its items.
func (l *List) Item() policy.Resource {
	r := l.Resource()
	r.Type = policy.ItemResource
	return r
}
