package recurring

import (
	"context"
	"log/slog"
	"time"

	"larder/internal/id"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/resourceapi/kitchen"
	"larder/resourceapi/tenant"
)

const (
	maxRecurring = 200 // of one family
	maxEvery     = 365
	dayBegins    = 4 // o'clock
	daysAhead    = 2 * 366
)

// Items puts things on a list, after leave to add there; what is on it still
// stays as it is.
type Items interface {
	Replace(ctx context.Context, tx *tenant.Tx, facts *tenant.List, things []shopping.Thing) ([]id.ID, error)
}

// Recurring answers for what goes on lists again and again.
type Recurring struct {
	kitchen.Shelf[Order, change, *Order]
	Items Items
	Log   *slog.Logger
}

// Order is one thing, where it goes and how often. NextOn is a day, such as
// 2026-11-22, where the family lives.
type Order struct {
	kitchen.Entry
	ListID   id.ID    `json:"list_id"`
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
	Note     string   `json:"note"`
	Category string   `json:"category"`
	Every    int      `json:"every"`
	Period   string   `json:"period"` // day, week or month
	NextOn   string   `json:"next_on"`

	nextAt time.Time // when that day begins
}

// New returns the recurring items of db's families, which go on lists by items.
func New(db *tenant.DB, items Items, log *slog.Logger) *Recurring {
	h := &Recurring{Items: items, Log: log, Shelf: kitchen.Shelf[Order, change, *Order]{
		DB: db, Noun: "recurring", Path: "recurring", Param: "recurring_id",
		Events: kitchen.Events{Added: "recurring.added", Changed: "recurring.updated", Removed: "recurring.removed"},
		SQL: kitchen.SQL{
			All: selectOrders, Some: selectSome, Count: countOrders, Insert: insertOrder, Update: updateOrder, Delete: deleteOrder,
		},
		Most: maxRecurring, Full: "There are too many recurring items. Remove one first.",
		New: Order{Every: 1},
	}}
	h.Settle = h.settle
	return h
}

type change struct {
	ListID   valid.Field[id.ID]   `json:"list_id"`
	Name     valid.Field[string]  `json:"name"`
	Quantity valid.Field[float64] `json:"quantity"`
	Unit     valid.Field[string]  `json:"unit"`
	Note     valid.Field[string]  `json:"note"`
	Category valid.Field[string]  `json:"category"`
	Every    valid.Field[int]     `json:"every"`
	Period   valid.Field[string]  `json:"period"`
	NextOn   valid.Field[string]  `json:"next_on"`
}

// Apply makes of an order what is asked for.
func (c change) Apply(to *Order) error {
	var f valid.Form
	to.ListID = c.ListID.Or(&f, "/list_id", to.ListID)
	to.Name = c.Name.Or(&f, "/name", to.Name)
	to.Quantity = c.Quantity.OrNull(to.Quantity)
	to.Unit = c.Unit.Or(&f, "/unit", to.Unit)
	to.Note = c.Note.Or(&f, "/note", to.Note)
	to.Category = c.Category.Or(&f, "/category", to.Category)
	to.Every = c.Every.Or(&f, "/every", to.Every)
	to.Period = c.Period.Or(&f, "/period", to.Period)
	to.NextOn = c.NextOn.Or(&f, "/next_on", to.NextOn)
	to.check(&f)
	return f.Err()
}

func (o *Order) thing() shopping.Thing {
	return shopping.Thing{Name: o.Name, Quantity: o.Quantity, Unit: o.Unit, Note: o.Note, Category: o.Category}
}

func (o *Order) check(f *valid.Form) {
	o.Name = f.Text("/name", o.Name, 1, 200)
	o.Unit = f.Text("/unit", o.Unit, 0, 32)
	o.Note = f.Text("/note", o.Note, 0, 1000)
	o.Category = f.Text("/category", o.Category, 0, 64)
	f.OneOf("/period", o.Period, "day", "week", "month")
	if o.Quantity != nil && !shopping.ValidQuantity(*o.Quantity) {
		f.Fault("/quantity", "must be more than 0, with at most three decimals")
	}
	if o.Every < 1 || o.Every > maxEvery {
		f.Fault("/every", "must be from 1 to 365")
	}
	if o.ListID.IsZero() {
		f.Fault("/list_id", "must be a shared list")
	}
}

// plan finds the first day, today where none is given, and refuses one that
// is over or years away.
func (o *Order) plan(f *valid.Form, today time.Time) {
	if o.NextOn == "" {
		o.NextOn = today.Format(time.DateOnly)
	}
	day, err := time.ParseInLocation(time.DateOnly, o.NextOn, today.Location())
	if err != nil || day.Before(today) || day.After(today.AddDate(0, 0, daysAhead)) {
		f.Fault("/next_on", "must be a day such as 2026-11-22, from today to two years ahead")
	}
}

// today is the day that it is at now, as its first moment.
func today(now time.Time, zone *time.Location) time.Time {
	now = now.In(zone).Add(-dayBegins * time.Hour)
	return time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
}

// due is the moment at which a day begins.
func due(day string, zone *time.Location) (time.Time, error) {
	at, err := time.ParseInLocation(time.DateOnly, day, zone)
	return time.Date(at.Year(), at.Month(), at.Day(), dayBegins, 0, 0, 0, zone), err
}

// after is the next day that o is due, once it was put on its list at today. A
// month later is the same day of it, or its last.
func (o *Order) after(today time.Time) (string, error) {
	first, err := time.ParseInLocation(time.DateOnly, o.NextOn, today.Location())
	if err != nil {
		return "", err
	}
	next := first
	for n := 1; !next.After(today); n++ {
		switch o.Period {
		case "day":
			next = first.AddDate(0, 0, n*o.Every)
		case "week":
			next = first.AddDate(0, 0, n*o.Every*7)
		default:
			next = monthsLater(first, n*o.Every)
		}
	}
	return next.Format(time.DateOnly), nil
}

func monthsLater(day time.Time, months int) time.Time {
	begin := time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, day.Location()).AddDate(0, months, 0)
	last := begin.AddDate(0, 1, -1).Day()
	return begin.AddDate(0, 0, min(day.Day(), last)-1)
}
