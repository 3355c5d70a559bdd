package portable

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	// MaxBody is how much is read of a file, in bytes.
	MaxBody = 8 << 20
	// maxAtOnce bounds the imports at work in this process, and maxHeld the bytes
	// of files that have come: together its memory.
	maxAtOnce = 2
	maxHeld   = 8 * MaxBody

	gap = 1024 // between neighbours
)

// Result says what an import did, or would do.
type Result struct {
	DryRun bool             `json:"dry_run"`
	Counts map[string]Count `json:"counts"`
}

// Count is how many things of a sort were added, and how many were there.
type Count struct {
	Added int `json:"added"`
	Kept  int `json:"kept"`
}

func (h *Portable) importFile(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	how, err := readOptions(r.URL.Query())
	if err != nil {
		return err
	}
	media, err := web.MediaType(r)
	if err != nil {
		return err
	}
	body, release, err := h.receive(r.Body)
	if err != nil {
		return err
	}
	defer release()
	select { // behind the reading: a body that comes slowly keeps nobody waiting
	case h.busy <- struct{}{}:
		defer func() { <-h.busy }()
	default:
		return busy()
	}
	d, err := readFile(media, body, how.list)
	if err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	done, err := h.take(r.Context(), family, d, how.dryRun)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, done)
}

func busy() error {
	return fault.New(fault.Unavailable, "Others are importing just now. Please try again.")
}

type options struct {
	dryRun bool
	list   id.ID // that the rows of a CSV go on to which name none
}

func readOptions(query url.Values) (o options, err error) {
	switch query.Get("dry_run") {
	case "", "false":
	case "true":
		o.dryRun = true
	default:
		return o, valid.Parameter("dry_run", "must be true or false")
	}
	if v := query.Get("list_id"); v != "" {
		if o.list, err = id.Parse(v); err != nil {
			return o, valid.Parameter("list_id", "must be a UUID")
		}
	}
	return o, nil
}

func readFile(media string, body []byte, onto id.ID) (*Document, error) {
	switch media {
	case "application/json":
		d := &Document{}
		return d, web.ReadJSON(body, d)
	case "text/csv":
		return readCSV(body, onto)
	}
	return nil, fault.New(fault.UnsupportedMedia, "The body must be application/json or text/csv.")
}

// errDry takes a dry run back.
var errDry = errors.New("a dry run")

// intake is a document on its way into a family.
type intake struct {
	tx     *tenant.Tx
	doc    *Document
	result *Result

	known map[id.ID]bool
	lists map[id.ID]*tenant.List // those that are there and are named
	fresh map[id.ID]*List        // those that are not
	ends  map[id.ID]*end         // of the lists that are there
	made  map[id.ID]bool         // once that is sent

	stores, prices, favourites, recipes, pantry, recurring, listCount int
	lastList                                                          float64
}

// end is where a list ends.
type end struct {
	count int
	last  float64
}

// take brings the document in, as one transaction, or says what that would do.
func (h *Portable) take(ctx context.Context, family id.ID, d *Document, dry bool) (*Result, error) {
	result := &Result{DryRun: dry, Counts: map[string]Count{}}
	err := h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		in := &intake{tx: tx, doc: d, result: result, known: map[id.ID]bool{}, ends: map[id.ID]*end{}, made: map[id.ID]bool{}, fresh: map[id.ID]*List{}}
		if err := in.look(ctx); err != nil {
			return err
		}
		in.sort()
		if err := in.room(); err != nil {
			return err
		}
		if err := in.leave(ctx); err != nil {
			return err
		}
		if dry {
			return errDry
		}
		return in.insert(ctx)
	})
	if errors.Is(err, errDry) {
		err = nil
	}
	return result, err
}

// look reads what of the document the family has already.
func (in *intake) look(ctx context.Context) error {
	tx, d := in.tx, in.doc
	var ids, lists []id.ID
	gather(&ids, d.Stores, func(s Store) id.ID { return s.ID })
	gather(&ids, d.Prices, func(p Price) id.ID { return p.ID })
	gather(&ids, d.Favourites, func(f Favourite) id.ID { return f.ID })
	gather(&ids, d.Recipes, func(r Recipe) id.ID { return r.ID })
	gather(&ids, d.Pantry, func(s Stock) id.ID { return s.ID })
	gather(&ids, d.Recurring, func(o Recurring) id.ID { return o.ID })
	gather(&ids, d.Items, func(i Item) id.ID { return i.ID })
	gather(&lists, d.Lists, func(l List) id.ID { return l.ID })
	gather(&lists, d.Items, func(i Item) id.ID { return i.ListID })
	gather(&lists, d.Recurring, func(o Recurring) id.ID { return o.ListID })
	tx.Queue(selectKnown, tx.Family, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var known id.ID
			if err := rows.Scan(&known); err != nil {
				return err
			}
			in.known[known] = true
		}
		return rows.Err()
	})
	in.lists = tx.Lists(lists)
	tx.Queue(selectEnds, tx.Family, lists).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var list id.ID
			var e end
			if err := rows.Scan(&list, &e.count, &e.last); err != nil {
				return err
			}
			in.ends[list] = &e
		}
		return rows.Err()
	})
	tx.Row(func(row pgx.Row) error {
		return row.Scan(&in.stores, &in.prices, &in.favourites, &in.recipes, &in.pantry, &in.recurring, &in.listCount, &in.lastList)
	}, selectCounts, tx.Family)
	return tx.SendFor(ctx, policy.ListList)
}

func gather[T any](to *[]id.ID, rows []T, of func(T) id.ID) {
	for _, row := range rows {
		*to = append(*to, of(row))
	}
}

// sort leaves in the document what is new, each thing once, and gives it its
// place.
func (in *intake) sort() {
	d := in.doc
	d.Stores = added(in, "stores", d.Stores, func(s *Store) id.ID { return s.ID })
	d.Prices = added(in, "prices", d.Prices, func(p *Price) id.ID { return p.ID })
	d.Favourites = added(in, "favourites", d.Favourites, func(f *Favourite) id.ID { return f.ID })
	d.Recipes = added(in, "recipes", d.Recipes, func(r *Recipe) id.ID { return r.ID })
	d.Pantry = added(in, "pantry", d.Pantry, func(s *Stock) id.ID { return s.ID })
	d.Recurring = added(in, "recurring", d.Recurring, func(o *Recurring) id.ID { return o.ID })
	d.Items = added(in, "items", d.Items, func(i *Item) id.ID { return i.ID })
	for list := range in.lists {
		in.known[list] = true
	}
	d.Lists = added(in, "lists", d.Lists, func(l *List) id.ID { return l.ID })
	for i := range d.Lists {
		in.lastList += gap
		d.Lists[i].Position = in.lastList
		in.fresh[d.Lists[i].ID] = &d.Lists[i]
	}
	for i := range d.Items {
		e := in.ends[d.Items[i].ListID]
		if e == nil {
			e = &end{}
			in.ends[d.Items[i].ListID] = e
		}
		e.count++
		e.last += gap
		d.Items[i].Position = e.last
	}
}

// added are the rows that are not known, and counts them.
func added[T any](in *intake, name string, rows []T, of func(*T) id.ID) []T {
	fresh := make([]T, 0, len(rows))
	for i := range rows {
		if key := of(&rows[i]); !in.known[key] {
			in.known[key] = true
			fresh = append(fresh, rows[i])
		}
	}
	in.result.Counts[name] = Count{Added: len(fresh), Kept: len(rows) - len(fresh)}
	return fresh
}

// room refuses what would be too much, what stands on no list, and what an
// archived list does not take.
func (in *intake) room() error {
	d := in.doc
	for _, kind := range []struct {
		name       string
		have, come int
		most       int
	}{
		{"stores", in.stores, len(d.Stores), maxStores},
		{"prices", in.prices, len(d.Prices), maxPrices},
		{"favourites", in.favourites, len(d.Favourites), maxFavourites},
		{"recipes", in.recipes, len(d.Recipes), maxRecipes},
		{"things in the pantry", in.pantry, len(d.Pantry), maxStocks},
		{"recurring items", in.recurring, len(d.Recurring), maxRecurring},
		{"lists", in.listCount, len(d.Lists), maxLists},
	} {
		if kind.come > 0 && kind.have+kind.come > kind.most {
			return full(kind.name, kind.most)
		}
	}
	var f valid.Form
	for i := range d.Items {
		item := &d.Items[i]
		there := in.lists[item.ListID]
		switch {
		case f.Len() >= maxFaults:
			return f.Err()
		case there == nil && in.fresh[item.ListID] == nil:
			f.Fault(item.at+"/list_id", "is no list of the family or of the file")
		case there != nil && there.ArchivedAt != nil:
			f.Fault(item.at+"/list_id", "is archived")
		case in.ends[item.ListID].count > maxItemsOfList:
			return full("items on one list", maxItemsOfList)
		}
	}
	for i := range d.Recurring {
		order := &d.Recurring[i]
		there, fresh := in.lists[order.ListID], in.fresh[order.ListID]
		if (there == nil || there.Kind != policy.Shared) && (fresh == nil || fresh.Kind != policy.Shared) {
			f.Fault(order.at+"/list_id", "is no shared list of the family or of the file")
		}
	}
	return f.Err()
}

// leave asks the policy for everything that the import does.
func (in *intake) leave(ctx context.Context) error {
	tx, d := in.tx, in.doc
	if len(d.Stores)+len(d.Prices)+len(d.Favourites)+len(d.Recipes)+len(d.Pantry)+len(d.Recurring) > 0 {
		if err := tx.May(ctx, policy.KitchenKeep, tx.FamilyResource()); err != nil {
			return err
		}
	}
	asked := map[string]bool{}
	for i := range d.Lists {
		if kind := d.Lists[i].Kind; !asked[kind] {
			asked[kind] = true
			made := in.yet(policy.ListResource, kind)
			if err := tx.May(ctx, policy.ListCreate, made); err != nil {
				return err
			}
		}
	}
	onto := make([]id.ID, 0, len(d.Items)+len(d.Recurring))
	gather(&onto, d.Items, func(i Item) id.ID { return i.ListID })
	gather(&onto, d.Recurring, func(o Recurring) id.ID { return o.ListID })
	for _, list := range onto {
		var item policy.Resource
		key := list.String()
		if l := in.fresh[list]; l != nil {
			key, item = "items of "+l.Kind, in.yet(policy.ItemResource, l.Kind)
		} else {
			item = in.lists[list].Item()
		}
		if asked[key] {
			continue
		}
		asked[key] = true
		if err := tx.May(ctx, policy.ItemAdd, item); err != nil {
			return err
		}
	}
	return nil
}

// yet is a list of the caller's own, or an item on one, before it is made.
func (in *intake) yet(of policy.ResourceType, kind string) policy.Resource {
	r := in.tx.NewList(kind)
	r.Type = of
	return r
}

func (in *intake) insert(ctx context.Context) error {
	tx, d := in.tx, in.doc
	var owner *string
	if tx.IsUser() {
		owner = &tx.Caller.Subject
	}
	put(in, "stores", importStores, d.Stores)
	put(in, "prices", importPrices, d.Prices)
	put(in, "favourites", importFavourites, d.Favourites)
	put(in, "recipes", importRecipes, d.Recipes)
	put(in, "lists", importLists, d.Lists, owner)
	put(in, "pantry", importPantry, d.Pantry)
	put(in, "recurring", importRecurring, d.Recurring)
	put(in, "items", importItems, d.Items)
	if err := tx.Send(ctx); err != nil {
		return err
	}
	in.record(ctx, owner)
	return nil
}

// put queues the rows, and corrects the count where one was left out: another was
// faster, or something of its name is there by another id.
func put[T any](in *intake, name, sql string, rows []T, more ...any) {
	if len(rows) == 0 {
		return
	}
	args := append([]any{in.tx.Family, rows, in.tx.Principal()}, more...)
	in.tx.Queue(sql+` RETURNING id`, args...).Query(func(rows pgx.Rows) error {
		ids, err := pgx.CollectRows(rows, pgx.RowTo[id.ID])
		for _, made := range ids {
			in.made[made] = true
		}
		c := in.result.Counts[name]
		in.result.Counts[name] = Count{Added: len(ids), Kept: c.Kept + c.Added - len(ids)}
		return err
	})
}

// record tells the feed of each thing that was made; of items, that their whole list is
// to be read.
func (in *intake) record(ctx context.Context, owner *string) {
	tx, d := in.tx, in.doc
	created := func(event string, thing id.ID) {
		if !in.made[thing] {
			return
		}
		tx.Record(ctx, tenant.Change{Event: event, Entity: thing.String(), Version: 1})
	}
	for i := range d.Stores {
		created("store.created", d.Stores[i].ID)
	}
	for i := range d.Favourites {
		created("favourite.created", d.Favourites[i].ID)
	}
	for i := range d.Recipes {
		created("recipe.created", d.Recipes[i].ID)
	}
	for i := range d.Pantry {
		created("pantry.added", d.Pantry[i].ID)
	}
	for i := range d.Recurring {
		created("recurring.added", d.Recurring[i].ID)
	}
	private := func(list id.ID) string {
		switch l := in.fresh[list]; {
		case l != nil && l.Kind == policy.Personal && owner != nil:
			return *owner
		case l == nil:
			return in.lists[list].Owner
		}
		return ""
	}
	for i := range d.Lists {
		l := &d.Lists[i]
		if !in.made[l.ID] {
			continue
		}
		tx.Record(ctx, tenant.Change{Event: "list.created", List: l.ID, PrivateTo: private(l.ID), Entity: l.ID.String(), Version: 1})
	}
	told := map[id.ID]bool{}
	for i := range d.Items {
		if list := d.Items[i].ListID; in.made[d.Items[i].ID] && !told[list] {
			told[list] = true
			tx.Record(ctx, tenant.Change{Event: "list.renumbered", List: list, PrivateTo: private(list), Entity: list.String()})
		}
	}
	tx.Record(ctx, tenant.Change{Event: "family.imported", Entity: tx.Family.String(), Details: map[string]any{"counts": in.result.Counts}})
}
