package sync

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// changes is what is new since a cursor.
type changes struct {
	Cursor  string  `json:"cursor"`
	Reset   bool    `json:"reset"` // read everything afresh, then go on from Cursor
	More    bool    `json:"more"`  // ask again at once
	Lists   []any   `json:"lists"`
	Items   []any   `json:"items"`
	Removed removed `json:"removed"`
}

// removed holds the tombstones.
type removed struct {
	Lists []id.ID `json:"lists"`
	Items []id.ID `json:"items"`
}

// page reads what happened after the cursor.
func (h *Sync) page(ctx context.Context, family id.ID, after tenant.Cursor) (*tenant.Changes, error) {
	var p *tenant.Changes
	return p, h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		p = tx.Follow(after, maxChanges)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		if !tx.Inside() {
			return fault.New(fault.NotFound, "There is no such family here.")
		}
		if err := tx.May(ctx, policy.FeedRead, tx.FamilyResource()); err != nil {
			return err
		}
		p.Page(ctx)
		return nil
	})
}

// since tells what became of everything that changed after the cursor. The
// states are read after the changes: they may be newer, and then come once more
// next time, but never older.
func (h *Sync) since(ctx context.Context, family id.ID, after tenant.Cursor) (c changes, err error) {
	p, err := h.page(ctx, family, after)
	if err != nil {
		return c, err
	}
	c = changes{
		Cursor: p.Next.String(), Reset: after.IsZero() || p.Reset != tenant.ResetNone, More: p.More,
		Lists: []any{}, Items: []any{}, Removed: removed{Lists: []id.ID{}, Items: []id.ID{}},
	}
	lists, items, whole := touched(p.Rows)
	if len(lists) > 0 {
		found, err := h.Lists.Current(ctx, family, lists)
		if err != nil {
			return c, err
		}
		c.Lists, c.Removed.Lists = sorted(found), missing(lists, found)
	}
	if len(items)+len(whole) > 0 {
		found, err := h.Items.Current(ctx, family, items, whole)
		if err != nil {
			return c, err
		}
		c.Items, c.Removed.Items = sorted(found), missing(items, found)
	}
	return c, nil
}

// touched lists what the rows are about: lists, items, and lists all of whose
// items changed.
func touched(rows []tenant.Seen) (lists, items, whole []id.ID) {
	for _, row := range rows {
		entity, err := id.Parse(row.Entity)
		if err != nil {
			continue
		}
		switch noun, _, _ := strings.Cut(row.Event, "."); {
		case row.Event == "list.renumbered":
			whole = append(whole, entity)
		case noun == "list":
			lists = append(lists, entity)
		case noun == "item":
			items = append(items, entity)
		}
	}
	return distinct(lists), distinct(items), distinct(whole)
}

func order(a, b id.ID) int { return bytes.Compare(a[:], b[:]) }

func distinct(ids []id.ID) []id.ID {
	slices.SortFunc(ids, order)
	return slices.Compact(ids)
}

func sorted(found map[id.ID]any) []any {
	all := make([]any, 0, len(found))
	for _, key := range slices.SortedFunc(maps.Keys(found), order) {
		all = append(all, found[key])
	}
	return all
}

func missing(asked []id.ID, found map[id.ID]any) []id.ID {
	gone := []id.ID{}
	for _, i := range asked {
		if _, there := found[i]; !there {
			gone = append(gone, i)
		}
	}
	return gone
}
