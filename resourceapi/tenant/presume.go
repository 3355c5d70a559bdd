package tenant

import (
	"context"
	"math/rand/v2"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"

	"larder/internal/audit"
	"larder/internal/id"
	"larder/resourceapi/policy"
)

const (
	// stillSo finds a row if the caller stands in the family as he is presumed
	// to, its rules and time zone are those that he was judged by, and the list
	// is what it is presumed to be. Its first parameters are those of the
	// change's rows (insertChanged).
	stillSo = `
SELECT FROM grocery.lists
 WHERE family_id = $16 AND id = $17 AND owner IS NOT DISTINCT FROM nullif($18, '') AND kind = $21 AND created_by = $22
   AND archived_at IS NULL AND grocery.standing() || ' ' || grocery.rules_mark() = $23`

	// insertChanged is insertChange for a row that was changed.
	insertChanged = `
INSERT INTO grocery.change_feed (family_id, event, list_id, private_to, entity_id, version, actor)
SELECT $16, $3, $17, nullif($18, ''), $19::text, version, $20 FROM changed`
)

// maxPresumed callers and lists are remembered.
const maxPresumed = 10_000

// presumption is how a caller stood, what the family's rules were and what a
// list was when this process last looked.
type presumption struct {
	standing standing
	role     policy.Role
	house    house
	list     List
}

type presumed struct {
	principal    string
	family, list id.ID
}

// Presumptions remembers what changes may be made upon without looking first.
// What it remembers need not be so any more: the database has the last word.
type Presumptions struct {
	seen *lru.Cache[presumed, presumption]
}

// NewPresumptions returns an empty memory.
func NewPresumptions() (*Presumptions, error) {
	seen, err := lru.New[presumed, presumption](maxPresumed)
	return &Presumptions{seen}, err
}

// Remember has Presume know the caller's standing and the list next time. A
// guest's grants and an app's installation are looked at each time.
func (tx *Tx) Remember(l *List) {
	whole := tx.role == policy.Admin || tx.role == policy.Member || tx.standing == asKey
	if whole && l.ArchivedAt == nil {
		tx.db.Presumptions.seen.Add(presumed{tx.Principal(), tx.Family, l.ID}, presumption{tx.standing, tx.role, tx.house, *l})
	}
}

// Presume makes a change to something on a list in a single round trip, upon
// what is remembered of the caller and the list. The policy decides upon that,
// and the change is made only where it is still so. held says whether it was;
// if not, nothing was done, and the change is to be made the usual way, which
// also says no to whom it is due.
func (db *DB) Presume(ctx context.Context, family, list id.ID, action policy.Action, f func(tx *Tx, l *List) Alteration) (held bool, err error) {
	tx, err := db.start(ctx, family)
	if err != nil {
		return false, err
	}
	if tx.Caller.Limit != nil || keyedFrom(ctx) != nil {
		return false, nil // to the database he stands otherwise than he does; or the answer is to be kept
	}
	key := presumed{tx.Principal(), family, list}
	p, ok := db.Presumptions.seen.Get(key)
	if !ok {
		return false, nil
	}
	tx.enter()
	tx.standing, tx.role, tx.house = p.standing, p.role, p.house
	d := tx.decide(ctx, action, p.list.Item())
	if !d.Allowed {
		return false, nil
	}
	if err := tx.count(ctx); err != nil {
		return false, err
	}
	tx.policies = d.Policies
	tx.alter(ctx, f(tx, &p.list), &p, &held)
	err = tx.send(ctx)
	if held && tx.db.Changed != nil {
		tx.db.Changed(family)
	}
	if err == nil && !held {
		db.Presumptions.seen.Remove(key)
	}
	return held, err
}

// Alteration is a change of one row, and how it is told of.
type Alteration struct {
	Change // its Version is the altered row's

	// SQL is UPDATE … WHERE … AND EXISTS (SELECT FROM presumed) RETURNING …,
	// version among it. $16 is the family, $17 the list, $19 the entity as text,
	// $20 the principal; Args begin at $24.
	SQL  string
	Args []any
	Scan func(pgx.Row) error
}

func (tx *Tx) alter(ctx context.Context, a Alteration, p *presumption, held *bool) {
	e := tx.event(ctx, a.Event, audit.Success, a.Details)
	e.Target, e.Policies = a.Entity, tx.policies
	args := append([]any{a.List, a.PrivateTo, a.Entity, tx.Principal(), p.list.Kind, p.list.CreatedBy, string(p.standing) + " " + p.house.mark}, a.Args...)
	audit.Grocery().BatchAfter(tx.batch, e, `presumed AS (`+stillSo+`), changed AS (`+a.SQL+`), told AS (`+insertChanged+`)`, `TABLE changed`, args...).
		Query(func(rows pgx.Rows) error {
			for rows.Next() {
				*held = true
				if err := a.Scan(rows); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	if rand.N(forgetOneIn) == 0 { //nolint:gosec // it need not be a secret when
		tx.batch.Queue(forgetChanges, tx.Family)
	}
}
