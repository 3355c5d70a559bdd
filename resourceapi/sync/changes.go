package sync

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"larder/internal/id"
	"larder/resourceapi/tenant"
)

// since tells what became of everything that changed after the cursor. The
// states are read after the changes: they may be newer, and then come once more
// next time, but never older.
func (h *Sync) since(ctx context.Context, family id.ID, after tenant.Cursor) (map[string]any, error) {
	p, err := h.DB.Follow(ctx, family, after, maxChanges)
	if err != nil {
		return nil, err
	}
	touched, removed := touched(p.Rows), map[string][]id.ID{}
	c := map[string]any{
		"cursor": p.Next.String(), "removed": removed,
		"reset": after.IsZero() || p.Reset != tenant.ResetNone, // read everything afresh, then go on from the cursor
		"more":  p.More,                                        // ask again at once
	}
	whole := touched[wholeList]
	kinds := []kind{
		{"lists", touched["list"], nil, h.Lists.Current},
		{"items", touched["item"], whole, func(ctx context.Context, family id.ID, items []id.ID) (map[id.ID]any, error) {
			return h.Items.Current(ctx, family, items, whole)
		}},
	}
	for noun, shelf := range h.Kitchen {
		kinds = append(kinds, kind{shelf.Collection(), touched[noun], nil, shelf.Current})
	}
	for _, k := range kinds {
		found := map[id.ID]any{}
		if len(k.ids)+len(k.whole) > 0 {
			if found, err = k.read(ctx, family, k.ids); err != nil {
				return nil, err
			}
		}
		c[k.name], removed[k.name] = sorted(found), missing(k.ids, found)
	}
	return c, nil
}

// kind is a sort of things, and those of it that were touched.
type kind struct {
	name       string
	ids, whole []id.ID
	read       func(ctx context.Context, family id.ID, ids []id.ID) (map[id.ID]any, error)
}

// wholeList is the event of a list all of whose items changed.
const wholeList = "list.renumbered"

// touched lists by noun what the rows are about, and under wholeList the lists
// all of whose items changed.
func touched(rows []tenant.Seen) map[string][]id.ID {
	all := map[string][]id.ID{}
	for _, row := range rows {
		entity, err := id.Parse(row.Entity)
		if err != nil {
			continue
		}
		noun, _, _ := strings.Cut(row.Event, ".")
		if row.Event == wholeList {
			noun = wholeList
		}
		all[noun] = append(all[noun], entity)
	}
	for noun := range all {
		all[noun] = distinct(all[noun])
	}
	return all
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
