package recurring

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/shopping"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	lookEvery   = time.Minute
	maxFamilies = 10_000 // a look: in a time zone the day begins for everybody at once
	maxDue      = 50     // of one family, a look
	lookWithin  = 50 * time.Second
)

// Run puts what is due on its lists, until ctx is done. Any number of processes
// may run it.
func (h *Recurring) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		h.Look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Look puts once what is due now.
func (h *Recurring) Look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	families, err := h.DB.ClockDue(ctx, maxFamilies)
	if err != nil && ctx.Err() == nil {
		h.Log.LogAttrs(ctx, slog.LevelWarn, "recurring items not looked at", slog.String("error", err.Error()))
	}
	for _, family := range families {
		if ctx.Err() != nil {
			return // the next look goes on here: what is done is not due any more
		}
		if err := h.put(ctx, family); err != nil && ctx.Err() == nil {
			h.Log.LogAttrs(ctx, slog.LevelWarn, "recurring items not put on their lists",
				slog.String("family_id", family.String()), slog.String("error", err.Error()))
		}
	}
}

// put takes the family's orders that are due and that nobody else is at.
func (h *Recurring) put(ctx context.Context, family id.ID) error {
	return h.DB.Clock(ctx, family, func(tx *tenant.Tx) error {
		var orders []Order
		tenant.Rows(tx, &orders, (*Order).Scan, lockDue, family, maxDue)
		if err := tx.Send(ctx); err != nil {
			return err
		}
		byList := map[id.ID][]shopping.Thing{}
		zone := tx.Zone()
		for i := range orders {
			o := &orders[i]
			byList[o.ListID] = append(byList[o.ListID], o.thing())
			next, err := o.after(today(h.DB.Now(), zone))
			if err != nil {
				return err
			}
			at, err := due(next, zone)
			if err != nil {
				return err
			}
			tx.Queue(moveOn, family, o.ID, next, at)
			tx.Record(ctx, tenant.Change{Event: "recurring.updated", Entity: o.ID.String(), Version: o.Version + 1})
		}
		// In order, for another process may be at others of the family's orders.
		for _, list := range slices.SortedFunc(maps.Keys(byList), func(a, b id.ID) int { return bytes.Compare(a[:], b[:]) }) {
			facts := tx.List(list)
			if err := tx.Send(ctx); err != nil {
				return err
			}
			if facts.ArchivedAt != nil || facts.Kind != policy.Shared {
				continue
			}
			if _, err := h.Items.Replace(ctx, tx, facts, byList[list]); err != nil && !fault.Is(err, fault.Conflict) { // a full list takes nothing
				return err
			}
		}
		return nil
	})
}
