package tenant

import (
	"fmt"
	"slices"

	"larder/internal/id"
	"larder/resourceapi/policy"
)

// A limited token (RFC 9396) is to the database a guest of the lists that it
// names, whatever its person is besides: row-level security then shows no other
// row. The policy decides the verbs, by what allowed says.
const narrow = `SELECT grocery.narrow($1, $2)`

// narrow queues the limit of the caller's token behind the proof of his
// standing; without one it costs nothing.
func (tx *Tx) narrow() {
	if tx.Caller.Limit == nil {
		return
	}
	lists := []id.ID{}
	all := false
	for _, d := range tx.Caller.Limit.Of(tx.Family, tx.db.Now()) {
		all = all || d.Lists == nil
		lists = append(lists, d.Lists...)
	}
	tx.batch.Queue(narrow, lists, all)
}

// allowed is what the caller's limited token may do on a list or its items, or
// anywhere in the family when it is asked about that.
func (tx *Tx) allowed(resource policy.Resource) []policy.Verb {
	var verbs []policy.Verb
	for _, d := range tx.Caller.Limit.Of(resource.Family, tx.db.Now()) {
		onList := resource.Type == policy.ListResource || resource.Type == policy.ItemResource
		if onList && d.Lists != nil && !slices.Contains(d.Lists, resource.ID) {
			continue
		}
		for _, action := range d.Actions {
			if v := policy.Verb(action); policy.IsVerb(v) && !slices.Contains(verbs, v) {
				verbs = append(verbs, v)
			}
		}
	}
	return verbs
}

// limitMark tells one limit in force from another.
func (tx *Tx) limitMark() string {
	return fmt.Sprint("limited to ", tx.Caller.Limit.Of(tx.Family, tx.db.Now()))
}
