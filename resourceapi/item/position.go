package item

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/valid"
	"larder/resourceapi/tenant"
)

const (
	// selectAfter tells where an item lies and where the one behind it does,
	// not counting the one that is to move in between.
	selectAfter = `
SELECT i.position, (SELECT n.position FROM grocery.items n
                     WHERE n.family_id = $1 AND n.list_id = $2 AND (n.position, n.id) > (i.position, i.id) AND n.id <> $4
                     ORDER BY n.position, n.id LIMIT 1)
  FROM grocery.items i WHERE i.family_id = $1 AND i.list_id = $2 AND i.id = $3 AND i.id <> $4`

	selectFirst = `SELECT min(position) FROM grocery.items WHERE family_id = $1 AND list_id = $2 AND id <> $3`
	selectLast  = `SELECT max(position) FROM grocery.items WHERE family_id = $1 AND list_id = $2`

	// renumber leaves the item alone that is to move, so that it changes once.
	renumber = `
UPDATE grocery.items i SET position = o.n * $3::float8, version = i.version + 1, updated_at = now()
  FROM (SELECT id, row_number() OVER (ORDER BY position, id) AS n FROM grocery.items WHERE family_id = $1 AND list_id = $2 AND id <> $4) o
 WHERE i.family_id = $1 AND i.list_id = $2 AND i.id = o.id`

	gap = 1024.0 // between neighbours
)

// spot is a place between two neighbours; nil is the end of the list.
type spot struct {
	after       *id.ID
	atEnd       bool
	known       bool // the item that it comes after is on the list
	left, right *float64
}

// queueSpot queues the look at where an item is to go: behind after, else to
// the end or the front.
func queueSpot(tx *tenant.Tx, at where, after *id.ID, atEnd bool) *spot {
	s := &spot{after: after, atEnd: atEnd}
	switch {
	case after != nil:
		tx.Queue(selectAfter, at.family, at.list, after, at.item).Query(func(rows pgx.Rows) error {
			s.known = false
			for rows.Next() {
				s.known = true
				if err := rows.Scan(&s.left, &s.right); err != nil {
					return err
				}
			}
			return rows.Err()
		})
	case atEnd:
		tx.Row(func(row pgx.Row) error { return row.Scan(&s.left) }, selectLast, at.family, at.list)
	default:
		tx.Row(func(row pgx.Row) error { return row.Scan(&s.right) }, selectFirst, at.family, at.list, at.item)
	}
	return s
}

// between returns a number in the middle, and whether there was room for one.
func (s *spot) between() (float64, bool) {
	switch {
	case s.left == nil && s.right == nil:
		return gap, true
	case s.right == nil:
		return *s.left + gap, true
	case s.left == nil:
		return *s.right - gap, true
	}
	middle := *s.left + (*s.right-*s.left)/2
	return middle, *s.left < middle && middle < *s.right
}

// position turns the spot into a number, after numbering the list anew if there
// is none left.
func (h *Items) position(ctx context.Context, tx *tenant.Tx, at where, s *spot) (float64, error) {
	if s.after != nil && !s.known {
		var f valid.Form
		f.Fault("/after", "must name another item of this list")
		return 0, f.Err()
	}
	if middle, ok := s.between(); ok {
		return middle, nil
	}
	tx.Queue(renumber, at.family, at.list, gap, at.item)
	again := queueSpot(tx, at, s.after, s.atEnd)
	tx.Record(ctx, tenant.Change{Event: "list.renumbered", List: at.list, Entity: at.list.String()})
	if err := tx.Send(ctx); err != nil {
		return 0, err
	}
	middle, _ := again.between()
	return middle, nil
}
