package tenant

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
)

const (
	selectXmin = `SELECT pg_snapshot_xmin(pg_current_snapshot())`

	// selectChanges also tells of each change whether its transaction lies below
	// every one that is still under way, so that nothing can come before it.
	selectChanges = `
SELECT tx, seq, occurred_at, event, list_id, entity_id, version, actor, tx < pg_snapshot_xmin(pg_current_snapshot())
  FROM grocery.change_feed WHERE family_id = $1 AND (tx, seq) > ($2, $3) ORDER BY tx, seq LIMIT $4`

	selectExpiry = `SELECT expires_at FROM grocery.family_members WHERE family_id = $1 AND user_id = $2`

	// changesKept is how far back a cursor may lie: a day less than the database
	// keeps the changes.
	changesKept = 29 * 24 * time.Hour
)

// Why a cursor leads nowhere, and its holder must read everything afresh.
const (
	ResetNone    = ""
	ResetTooOld  = "too_old"  // changes after it may have been forgotten
	ResetUnknown = "unknown"  // it is not from this database
	ResetReach   = "standing" // its holder sees more or less than he did then
)

// Seen is a change, read back from the feed.
type Seen struct {
	Cursor     Cursor
	Event      string
	List       id.ID // zero when it is about no list
	Entity     string
	Version    int64
	Actor      string
	OccurredAt time.Time
}

// Changes is a page of the feed as the caller may see it.
type Changes struct {
	Rows  []Seen
	Next  Cursor // where the next page begins
	Reset string // not ResetNone: there are no rows, and Next is the feed's end
	More  bool   // there is a next page already
	Soon  bool   // there are changes that only wait for an earlier transaction to end
	// Until is when the caller's membership ends; zero for one without an end.
	Until time.Time

	tx    *Tx
	after Cursor
	xmin  uint64 // of a snapshot before that of the rows
	full  bool
}

// Follow reads up to limit changes after the cursor, as the caller may see them;
// the zero cursor reads none and asks where the feed ends.
func (db *DB) Follow(ctx context.Context, family id.ID, after Cursor, limit int) (*Changes, error) {
	c := &Changes{after: after}
	return c, db.Read(ctx, family, func(tx *Tx) error {
		c.queue(tx, limit)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if !tx.Inside() {
			return fault.New(fault.NotFound, notHere)
		}
		if err := tx.May(ctx, policy.FeedRead, tx.FamilyResource()); err != nil {
			return err
		}
		c.settle(ctx)
		return nil
	})
}

// queue queues the reading. The caller's standing is proven once more behind the
// rows: whoever lost it meanwhile gets none.
func (c *Changes) queue(tx *Tx, limit int) {
	c.tx = tx
	tx.Row(func(row pgx.Row) error { return row.Scan(&c.xmin) }, selectXmin)
	if !c.after.IsZero() {
		tx.Queue(selectChanges, tx.Family, c.after.Tx, c.after.Seq, limit).Query(func(rows pgx.Rows) error {
			return c.scan(rows, limit)
		})
	}
	if tx.IsUser() {
		tx.Queue(selectExpiry, tx.Family, tx.Caller.Subject).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var until *time.Time
				if err := rows.Scan(&until); err != nil {
					return err
				}
				if until != nil {
					c.Until = *until
				}
			}
			return rows.Err()
		})
	}
	tx.Renew()
}

func (c *Changes) scan(rows pgx.Rows, limit int) error {
	read := 0
	for rows.Next() {
		read++
		var s Seen
		var settled bool
		if err := rows.Scan(&s.Cursor.Tx, &s.Cursor.Seq, &s.OccurredAt, &s.Event, &s.List, &s.Entity, &s.Version, &s.Actor, &settled); err != nil {
			return err
		}
		if !settled {
			c.Soon = true
			continue
		}
		c.Rows = append(c.Rows, s)
	}
	c.full = read == limit
	return rows.Err()
}

// settle says where the next page begins, or why there is none, and leaves out
// what the caller may not know of.
func (c *Changes) settle(ctx context.Context) {
	now := c.tx.db.Now()
	seen := c.tx.nouns(ctx)
	reach := c.tx.reach(seen)
	c.Next = Cursor{Tx: c.xmin, At: now, Reach: reach}
	switch {
	case c.after.IsZero():
		return
	case c.after.Tx > c.xmin:
		c.Reset = ResetUnknown
	case now.Sub(c.after.At) > changesKept:
		c.Reset = ResetTooOld
	case c.after.Reach != reach:
		c.Reset = ResetReach
	}
	if c.Reset != ResetNone {
		c.Rows, c.Soon = nil, false
		return
	}
	if c.full {
		c.Next = c.after // as far as was read, and not to the end
	}
	c.More = c.full && !c.Soon
	if n := len(c.Rows); n > 0 && c.Next.before(c.Rows[n-1].Cursor) {
		c.Next = c.Rows[n-1].Cursor
		c.Next.At, c.Next.Reach = now, reach
	}
	if c.Next.before(c.after) {
		c.Next.Tx, c.Next.Seq = c.after.Tx, c.after.Seq
	}
	c.Rows = slices.DeleteFunc(c.Rows, func(s Seen) bool {
		noun, _, _ := strings.Cut(s.Event, ".")
		return !slices.Contains(seen, noun)
	})
	for i := range c.Rows {
		c.Rows[i].Cursor.At, c.Rows[i].Cursor.Reach = c.Rows[i].OccurredAt, reach
	}
}

// nouns lists what the caller may follow. That he sees a list, or is shown but
// some of them, is the database's to say.
func (tx *Tx) nouns(ctx context.Context) []string {
	nouns := []string{"list", "item"}
	for noun, action := range map[string]policy.Action{
		"family": policy.FamilyRead, "member": policy.MemberList, "app": policy.AppList, "invitation": policy.InvitationList,
		"webhook": policy.WebhookList, "store": policy.KitchenRead, "favourite": policy.KitchenRead, "pantry": policy.KitchenRead, "recipe": policy.KitchenRead,
		"recurring": policy.KitchenRead,
	} {
		if tx.Can(ctx, action, tx.FamilyResource()) {
			nouns = append(nouns, noun)
		}
	}
	slices.Sort(nouns)
	return nouns
}

// reach digests what decides which changes the caller sees.
func (tx *Tx) reach(nouns []string) uint32 {
	lists := make([]string, 0, len(tx.grants))
	for list := range tx.grants {
		lists = append(lists, list)
	}
	if tx.Caller.Limit != nil {
		lists = append(lists, tx.limitMark())
	}
	slices.Sort(lists)
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%s %s %v %v", tx.Principal(), tx.standing, nouns, lists)
	return h.Sum32()
}
