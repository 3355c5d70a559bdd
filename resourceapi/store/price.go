package store

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	selectLatest = `
SELECT DISTINCT ON (name_key) id, name, amount, currency, quantity::float8, unit, noted_by, noted_at
  FROM grocery.prices WHERE family_id = $1 AND store_id = $2 AND ($3 = '' OR name_key > $3) ORDER BY name_key, noted_at DESC, id LIMIT 200`

	selectOfThing = `
SELECT id, name, amount, currency, quantity::float8, unit, noted_by, noted_at
  FROM grocery.prices WHERE family_id = $1 AND store_id = $2 AND name_key = $3 ORDER BY noted_at DESC, id LIMIT 20`

	selectCurrency = `SELECT currency FROM grocery.families WHERE id = $1`

	insertPrice = `
INSERT INTO grocery.prices (family_id, store_id, id, name, name_key, amount, currency, quantity, unit, noted_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::float8, $9, $10)
RETURNING id, name, amount, currency, quantity::float8, unit, noted_by, noted_at`

	// forgetPrices keeps the latest twenty of a thing.
	forgetPrices = `
DELETE FROM grocery.prices WHERE family_id = $1 AND id IN (
  SELECT id FROM grocery.prices WHERE family_id = $1 AND store_id = $2 AND name_key = $3 ORDER BY noted_at DESC, id OFFSET 20)`

	// forgetMostPrices keeps the latest twenty thousand of a family.
	forgetMostPrices = `
DELETE FROM grocery.prices WHERE family_id = $1 AND id IN (
  SELECT id FROM grocery.prices WHERE family_id = $1 ORDER BY noted_at DESC, id OFFSET 20000)`

	forgetMostOneIn = 64 // prices

	maxAmount    = 1_000_000_000
	maxPriceName = 200 // characters
)

// Price is what a quantity of a thing cost, in the smallest coin of the
// currency (ISO 4217).
type Price struct {
	ID       id.ID     `json:"id"`
	Name     string    `json:"name"`
	Amount   int64     `json:"amount"`
	Currency string    `json:"currency"`
	Quantity float64   `json:"quantity"`
	Unit     string    `json:"unit"`
	NotedBy  string    `json:"noted_by"`
	NotedAt  time.Time `json:"noted_at"`
}

func (p *Price) scan(row pgx.Row) error {
	return row.Scan(&p.ID, &p.Name, &p.Amount, &p.Currency, &p.Quantity, &p.Unit, &p.NotedBy, &p.NotedAt)
}

// prices answers with the latest price of each thing, two hundred at a time
// after the name in "after"; with "name", with the last twenty of that thing.
func (h *Stores) prices(w http.ResponseWriter, r *http.Request) error {
	family, store, err := h.Named(r)
	if err != nil {
		return err
	}
	ctx, prices, query := r.Context(), []Price{}, r.URL.Query()
	for _, asked := range []string{"name", "after"} {
		if utf8.RuneCountInString(query.Get(asked)) > maxPriceName {
			return valid.Parameter(asked, "must have at most 200 characters")
		}
	}
	sql, key := selectLatest, shopping.Key(query.Get("after"))
	if name := query.Get("name"); name != "" {
		sql, key = selectOfThing, shopping.Key(name)
	}
	key = strings.ReplaceAll(strings.ToValidUTF8(key, ""), "\x00", "") // a name has neither
	err = h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		var s Store
		h.One(tx, &s, store)
		tenant.Rows(tx, &prices, (*Price).scan, sql, family, store, key)
		return tx.SendFor(ctx, policy.KitchenRead)
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"prices": prices})
}

type priceDraft struct {
	Name     string   `json:"name"`
	Amount   *int64   `json:"amount"`
	Currency string   `json:"currency"`
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
}

func (d *priceDraft) check() error {
	var f valid.Form
	d.Name = f.Text("/name", d.Name, 1, maxPriceName)
	d.Unit = f.Text("/unit", d.Unit, 0, 32)
	if d.Amount == nil || *d.Amount < 0 || *d.Amount > maxAmount {
		f.Fault("/amount", "must be 0 to 1000000000, in the smallest coin")
	}
	if d.Currency != "" && !shopping.Currency(d.Currency) {
		f.Fault("/currency", "must be a code of ISO 4217")
	}
	if d.Quantity == nil {
		d.Quantity = new(1.0)
	}
	if !shopping.ValidQuantity(*d.Quantity) {
		f.Fault("/quantity", "must be more than 0, with at most three decimals")
	}
	return f.Err()
}

func (h *Stores) notePrice(w http.ResponseWriter, r *http.Request) error {
	family, store, err := h.Named(r)
	if err != nil {
		return err
	}
	var d priceDraft
	if err := web.DecodeJSON(r, &d); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	p, err := h.insertPrice(r.Context(), family, store, d)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, p)
}

func (h *Stores) insertPrice(ctx context.Context, family, store id.ID, d priceDraft) (*Price, error) {
	var p Price
	return &p, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var s Store
		h.Lock(tx, &s, store)
		var usual string
		tx.Row(func(row pgx.Row) error { return row.Scan(&usual) }, selectCurrency, family)
		if err := tx.SendFor(ctx, policy.KitchenKeep); err != nil {
			return err
		}
		if d.Currency == "" {
			d.Currency = usual
		}
		if d.Currency == "" {
			var f valid.Form
			f.Fault("/currency", "is required: the family has no usual one")
			return f.Err()
		}
		key := shopping.Key(d.Name)
		tx.Row(p.scan, insertPrice, family, store, id.New(), d.Name, key, *d.Amount, d.Currency, *d.Quantity, d.Unit, tx.Principal())
		tx.Queue(forgetPrices, family, store, key)
		if rand.N(forgetMostOneIn) == 0 { //nolint:gosec // it need not be a secret when
			tx.Queue(forgetMostPrices, family)
		}
		tx.Record(ctx, tenant.Change{Event: "store.priced", Entity: store.String(), Version: s.Version})
		return nil
	})
}
