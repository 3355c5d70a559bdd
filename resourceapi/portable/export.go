package portable

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/semaphore"

	"larder/internal/id"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	pageSize    = 1000             // items that are read at once
	pageTimeout = 15 * time.Second // to read them
	// writeTimeout is how long the client may take for a page. Whoever is slower
	// is let go.
	writeTimeout = time.Minute
)

// Portable exports and imports families. Make it with New.
type Portable struct {
	DB    *tenant.DB
	Diets Diets

	busy chan struct{}       // one place for each import at work
	room *semaphore.Weighted // for the bytes of files
}

// New returns what exports and imports the families of db.
func New(db *tenant.DB, diets Diets) *Portable {
	return &Portable{DB: db, Diets: diets, busy: make(chan struct{}, maxAtOnce), room: semaphore.NewWeighted(maxHeld)}
}

// Mount adds the routes.
func (h *Portable) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/v1/me/export", h.exportMine)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/export", h.exportJSON)
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/export.csv", h.exportCSV)
	rt.Handle(http.MethodPost, "/v1/families/{family_id}/import", h.importFile)
}

// part is a member of the document.
type part struct {
	name string
	need policy.Action // to see it at all; the database decides what of it
	sql  string
	rows []json.RawMessage
}

func parts() []*part {
	return []*part{
		{name: "members", need: policy.MemberList, sql: exportMembers},
		{name: "stores", need: policy.KitchenRead, sql: exportStores},
		{name: "prices", need: policy.KitchenRead, sql: exportPrices},
		{name: "favourites", need: policy.KitchenRead, sql: exportFavourites},
		{name: "recipes", need: policy.KitchenRead, sql: exportRecipes},
		{name: "lists", need: policy.ListList, sql: exportLists},
		{name: "pantry", need: policy.KitchenRead, sql: exportPantry},
		{name: "recurring", need: policy.KitchenRead, sql: exportRecurring},
	}
}

// readHead reads everything but the items, for a copy in the format.
func (h *Portable) readHead(ctx context.Context, family id.ID, format string) (about json.RawMessage, all []*part, err error) {
	all = parts()
	err = h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(func(row pgx.Row) error { return row.Scan(&about) }, exportFamily, family)
		for _, p := range all {
			tx.Queue(p.sql, family).Query(func(rows pgx.Rows) (err error) {
				p.rows, err = pgx.CollectRows(rows, pgx.RowTo[json.RawMessage])
				return err
			})
		}
		if err := tx.SendFor(ctx, policy.ListList); err != nil {
			return err
		}
		for _, p := range all {
			if !tx.Can(ctx, p.need, tx.FamilyResource()) {
				p.rows = nil
			}
		}
		if !tx.Can(ctx, policy.FamilyRead, tx.FamilyResource()) {
			about = json.RawMessage("null")
		}
		tx.Copied(ctx, "family.exported", map[string]any{"format": format})
		return nil
	})
	return about, all, err
}

// place is where a page of items begins: after the item at this position.
type place struct {
	list     id.ID
	position float64
	item     id.ID
}

// readItems reads the items behind a place, as many as make a page.
func (h *Portable) readItems(ctx context.Context, family id.ID, after *place, each func(json.RawMessage) error) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	var page []json.RawMessage
	err = h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Queue(exportItems, family, after.list, after.position, after.item, pageSize).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var raw json.RawMessage
				if err := rows.Scan(&after.list, &after.position, &after.item, &raw); err != nil {
					return err
				}
				page = append(page, raw)
			}
			return rows.Err()
		})
		return tx.SendFor(ctx, policy.ListList)
	})
	if err != nil {
		return false, err
	}
	for _, raw := range page { // outside, so that a slow reader holds no connection
		if err := each(raw); err != nil {
			return false, err
		}
	}
	return len(page) == pageSize, nil
}

func (h *Portable) exportJSON(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	about, all, err := h.readHead(r.Context(), family, "json")
	if err != nil {
		return err
	}
	exportedAt, err := json.Marshal(h.DB.Now().UTC())
	if err != nil {
		return err
	}
	out := begin(w, "application/json", "family.json")
	out.text(`{"format":"` + format + `","version":1,"exported_at":`)
	out.raw(exportedAt)
	out.text(`,"family":`)
	out.raw(about)
	for _, p := range all {
		out.text(",\n\"" + p.name + `":`)
		out.array(p.rows)
	}
	out.text(",\n\"items\":[")
	separator := ""
	h.stream(r, family, out, func(raw json.RawMessage) error {
		out.text(separator)
		out.raw(raw)
		separator = ",\n"
		return out.err
	})
	out.text("]}\n")
	out.end(r)
	return nil
}

func (h *Portable) exportCSV(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	_, all, err := h.readHead(r.Context(), family, "csv")
	if err != nil {
		return err
	}
	lists, err := rowsOf[List](all, "lists")
	if err != nil {
		return err
	}
	orders, err := rowsOf[Recurring](all, "recurring")
	if err != nil {
		return err
	}
	names := make(map[id.ID]string, len(lists))
	for i := range lists {
		names[lists[i].ID] = lists[i].Name
	}
	out := begin(w, "text/csv; charset=utf-8; header=present", "items.csv")
	table := csv.NewWriter(out)
	_ = table.Write(columns()) // out keeps the error
	h.stream(r, family, out, func(raw json.RawMessage) error {
		var i Item
		if err := json.Unmarshal(raw, &i); err != nil {
			return err
		}
		_ = table.Write(i.record(names[i.ListID]))
		return table.Error()
	})
	for i := range orders {
		_ = table.Write(orders[i].record(names[orders[i].ListID]))
	}
	table.Flush()
	out.end(r)
	return nil
}

// rowsOf reads the rows of a member of the document.
func rowsOf[T any](all []*part, name string) ([]T, error) {
	p := all[slices.IndexFunc(all, func(p *part) bool { return p.name == name })]
	rows := make([]T, len(p.rows))
	for i, raw := range p.rows {
		if err := json.Unmarshal(raw, &rows[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// stream writes every item, page by page. An error, with part of the answer
// written, can only be told by breaking off: that the file is not whole must
// show.
func (h *Portable) stream(r *http.Request, family id.ID, out *output, each func(json.RawMessage) error) {
	after := &place{list: id.ID{15: 1}, item: id.ID{15: 1}} // before every item; the nil UUID would be NULL to the database
	for more := true; more; {
		out.extend(h.DB.Now())
		var err error
		if more, err = h.readItems(r.Context(), family, after, each); err != nil {
			out.fail(r, err)
		}
	}
}

// output is an answer that is written as it is made.
type output struct {
	*bufio.Writer
	control *http.ResponseController
	err     error
}

func begin(w http.ResponseWriter, media, file string) *output {
	header := w.Header()
	header.Set("Content-Type", media)
	header.Set("Content-Disposition", `attachment; filename="`+file+`"`)
	header.Set("Cache-Control", "no-store")
	return &output{Writer: bufio.NewWriterSize(w, 32<<10), control: http.NewResponseController(w)}
}

func (o *output) text(s string) { _, o.err = o.WriteString(s) }
func (o *output) raw(b []byte)  { _, o.err = o.Write(b) }

func (o *output) array(rows []json.RawMessage) {
	separator := "["
	for _, row := range rows {
		o.text(separator)
		o.raw(row)
		separator = ",\n"
	}
	if len(rows) == 0 {
		o.text("[")
	}
	o.text("]")
}

// extend gives the client time for the next page.
func (o *output) extend(now time.Time) {
	_ = o.control.SetWriteDeadline(now.Add(writeTimeout)) // without it the connection has the server's own bounds
}

func (o *output) end(r *http.Request) {
	if err := o.Flush(); err != nil {
		o.fail(r, err)
	}
	_ = o.control.SetWriteDeadline(time.Time{})
}

// fail breaks the connection, so that the client sees that something is missing.
func (o *output) fail(r *http.Request, err error) {
	web.Annotate(r.Context(), slog.String("broken_off", err.Error()))
	panic(http.ErrAbortHandler)
}
