package portable

import (
	"strconv"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/resourceapi/policy"
)

// What a document says that it is.
const (
	format  = "larder.family"
	version = 1
)

// Document is a family on its way: the schema FamilyDocument of openapi.yaml.
// What is told of the family and its people is for whoever reads it; an import
// passes over it, because people join by invitation.
type Document struct {
	Format     string           `json:"format"`
	Version    int              `json:"version"`
	ExportedAt *time.Time       `json:"exported_at"`
	Family     map[string]any   `json:"family"`
	Members    []map[string]any `json:"members"`
	Stores     []Store          `json:"stores"`
	Prices     []Price          `json:"prices"`
	Favourites []Favourite      `json:"favourites"`
	Recipes    []Recipe         `json:"recipes"`
	Lists      []List           `json:"lists"`
	Pantry     []Stock          `json:"pantry"`
	Recurring  []Recurring      `json:"recurring"`
	Items      []Item           `json:"items"` // of each list in their order

	faults valid.Form // found when it was read
}

// Made is who made a thing and when: told, and not believed when it comes back.
type Made struct {
	By string     `json:"created_by,omitempty"`
	At *time.Time `json:"created_at,omitempty"`
}

// Store is a place to shop at.
type Store struct {
	ID         id.ID    `json:"id"`
	Name       string   `json:"name"`
	Aisles     []string `json:"aisles"`
	OnlyAisles bool     `json:"only_aisles"`
	Made

	AisleKeys []string `json:"aisle_keys,omitempty"` // for the database; not in a document
}

// Price is what a thing cost at a store, in the smallest coin of the currency.
type Price struct {
	ID       id.ID   `json:"id"`
	StoreID  id.ID   `json:"store_id"`
	Name     string  `json:"name"`
	Amount   int64   `json:"amount"`
	Currency string  `json:"currency"`
	Quantity float64 `json:"quantity"`
	Unit     string  `json:"unit"`
	Made

	NameKey string `json:"name_key,omitempty"`
}

// Favourite is what somebody puts on lists often.
type Favourite struct {
	ID       id.ID    `json:"id"`
	Name     string   `json:"name"`
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
	Category string   `json:"category"`
	Made

	NameKey string `json:"name_key,omitempty"`
}

// Recipe is something to cook.
type Recipe struct {
	ID          id.ID            `json:"id"`
	Name        string           `json:"name"`
	Servings    int              `json:"servings"`
	Method      string           `json:"method"`
	Ingredients []shopping.Thing `json:"ingredients"`
	Made
}

// List is a list; its items stand by themselves. A personal one becomes that
// of whoever imports it.
type List struct {
	ID       id.ID   `json:"id"`
	Kind     string  `json:"kind"`
	Name     string  `json:"name"`
	DueOn    *string `json:"due_on"`
	Assignee *string `json:"assignee"`
	Template bool    `json:"template"`
	Archived bool    `json:"archived"`
	Made

	Position float64 `json:"position,omitempty"`
}

// Stock is a thing in the pantry.
type Stock struct {
	ID       id.ID    `json:"id"`
	Name     string   `json:"name"`
	Quantity float64  `json:"quantity"`
	Unit     string   `json:"unit"`
	Category string   `json:"category"`
	Minimum  *float64 `json:"minimum"`
	ListID   *id.ID   `json:"list_id"`
	Made
}

// Recurring is a thing that goes on a list again and again. A day that is over
// when it comes in becomes today.
type Recurring struct {
	ID       id.ID    `json:"id"`
	ListID   id.ID    `json:"list_id"`
	Name     string   `json:"name"`
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
	Note     string   `json:"note"`
	Category string   `json:"category"`
	Every    int      `json:"every"`
	Period   string   `json:"period"`
	NextOn   *string  `json:"next_on"`
	Made

	at string // where in the file it stands, for faults
}

// Item is a thing on a list.
type Item struct {
	ID       id.ID    `json:"id"`
	ListID   id.ID    `json:"list_id"`
	Name     string   `json:"name"`
	Quantity *float64 `json:"quantity"`
	Unit     string   `json:"unit"`
	Note     string   `json:"note"`
	Category string   `json:"category"`
	Barcode  string   `json:"barcode"`
	Photo    string   `json:"photo"`
	Checked  bool     `json:"checked"`
	Made

	Position float64 `json:"position,omitempty"`

	at string // where in the file it stands, for faults
}

// Bounds of a family, as the features that keep these things have them.
const (
	maxStores, maxAisles, maxPrices    = 50, 100, 20000
	maxFavourites                      = 200
	maxRecipes, maxIngredients         = 200, 100
	maxLists, maxItems, maxItemsOfList = 500, 50000, 2000
	maxStocks, maxRecurring, maxEvery  = 500, 200, 365
	maxServings, maxAmount             = 1000, 1_000_000_000

	maxFaults = 100 // that are told; nobody repairs more at once
)

// check returns fault.Invalid with what is wrong, row by row.
func (d *Document) check() error {
	f := &checker{Form: d.faults}
	if d.Format != format || d.Version != version {
		f.Fault("/format", "must be "+format+", version "+strconv.Itoa(version))
		return f.Err()
	}
	each(f, "/stores", d.Stores, maxStores, (*Store).check)
	each(f, "/prices", d.Prices, maxPrices, (*Price).check)
	each(f, "/favourites", d.Favourites, maxFavourites, (*Favourite).check)
	each(f, "/recipes", d.Recipes, maxRecipes, (*Recipe).check)
	each(f, "/lists", d.Lists, maxLists, (*List).check)
	each(f, "/pantry", d.Pantry, maxStocks, (*Stock).check)
	each(f, "/recurring", d.Recurring, maxRecurring, (*Recurring).check)
	each(f, "/items", d.Items, maxItems, (*Item).check)
	return f.Err()
}

// checker checks rows one after the other.
type checker struct {
	valid.Form
	at string // the row
}

// each checks every row, until there are too many faults.
func each[T any](f *checker, at string, rows []T, most int, check func(*T, *checker)) {
	if len(rows) > most {
		f.Fault(at, "must be at most "+strconv.Itoa(most))
		return
	}
	for i := range rows {
		if f.Len() >= maxFaults {
			return
		}
		f.at = at + "/" + strconv.Itoa(i)
		check(&rows[i], f)
	}
}

func (f *checker) id(member string, value id.ID) {
	if value.IsZero() {
		f.Fault(f.at+member, "must be a UUID")
	}
}

func (f *checker) text(member string, value *string, least, most int) {
	*value = f.Text(f.at+member, *value, least, most)
}

func (f *checker) quantity(member string, q *float64) {
	if q != nil && !shopping.ValidQuantity(*q) {
		f.Fault(f.at+member, "must be more than 0, with at most three decimals")
	}
}

func (f *checker) day(member string, day *string) {
	if day == nil {
		return
	}
	if _, err := time.Parse(time.DateOnly, *day); err != nil {
		f.Fault(f.at+member, "must be a day, such as 2026-11-30")
	}
}

// row says where the thing stands: a row of a spreadsheet says so itself, and
// its ids were found already.
func (f *checker) row(at *string, thing, list id.ID) {
	if *at != "" {
		f.at = *at
		return
	}
	*at = f.at
	f.id("/id", thing)
	f.id("/list_id", list)
}

func (s *Store) check(f *checker) {
	f.id("/id", s.ID)
	f.text("/name", &s.Name, 1, 200)
	if len(s.Aisles) > maxAisles {
		f.Fault(f.at+"/aisles", "must be at most "+strconv.Itoa(maxAisles))
		return
	}
	s.AisleKeys = make([]string, len(s.Aisles))
	for i := range s.Aisles {
		f.text("/aisles/"+strconv.Itoa(i), &s.Aisles[i], 1, 64)
		s.AisleKeys[i] = shopping.Key(s.Aisles[i])
	}
	if s.Aisles == nil {
		s.Aisles = []string{}
	}
}

func (p *Price) check(f *checker) {
	f.id("/id", p.ID)
	f.id("/store_id", p.StoreID)
	f.text("/name", &p.Name, 1, 200)
	f.text("/unit", &p.Unit, 0, 32)
	f.quantity("/quantity", &p.Quantity)
	if p.Amount < 0 || p.Amount > maxAmount {
		f.Fault(f.at+"/amount", "must be 0 to 1000000000, in the smallest coin")
	}
	if !shopping.Currency(p.Currency) {
		f.Fault(f.at+"/currency", "must be a code of ISO 4217")
	}
	p.NameKey = shopping.Key(p.Name)
}

func (t *Favourite) check(f *checker) {
	f.id("/id", t.ID)
	f.text("/name", &t.Name, 1, 200)
	f.text("/unit", &t.Unit, 0, 32)
	f.text("/category", &t.Category, 0, 64)
	f.quantity("/quantity", t.Quantity)
	t.NameKey = shopping.Key(t.Name)
}

func (s *Recipe) check(f *checker) {
	f.id("/id", s.ID)
	f.text("/name", &s.Name, 1, 200)
	f.text("/method", &s.Method, 0, 20000)
	if s.Servings < 1 || s.Servings > maxServings {
		f.Fault(f.at+"/servings", "must be 1 to "+strconv.Itoa(maxServings))
	}
	if len(s.Ingredients) > maxIngredients {
		f.Fault(f.at+"/ingredients", "must be at most "+strconv.Itoa(maxIngredients))
		return
	}
	for i := range s.Ingredients {
		thing, at := &s.Ingredients[i], "/ingredients/"+strconv.Itoa(i)
		f.text(at+"/name", &thing.Name, 1, 200)
		f.text(at+"/unit", &thing.Unit, 0, 32)
		f.text(at+"/note", &thing.Note, 0, 1000)
		f.text(at+"/category", &thing.Category, 0, 64)
		f.quantity(at+"/quantity", thing.Quantity)
	}
	if s.Ingredients == nil {
		s.Ingredients = []shopping.Thing{}
	}
}

func (l *List) check(f *checker) {
	f.id("/id", l.ID)
	f.text("/name", &l.Name, 1, 200)
	f.OneOf(f.at+"/kind", l.Kind, policy.Shared, policy.Personal)
	f.day("/due_on", l.DueOn)
	if l.Assignee != nil {
		f.text("/assignee", l.Assignee, 1, 255)
	}
}

func (s *Stock) check(f *checker) {
	f.id("/id", s.ID)
	f.text("/name", &s.Name, 1, 200)
	f.text("/unit", &s.Unit, 0, 32)
	f.text("/category", &s.Category, 0, 64)
	f.quantity("/minimum", s.Minimum)
	if s.Quantity != 0 {
		f.quantity("/quantity", &s.Quantity)
	}
}

func (o *Recurring) check(f *checker) {
	f.row(&o.at, o.ID, o.ListID)
	f.text("/name", &o.Name, 1, 200)
	f.text("/unit", &o.Unit, 0, 32)
	f.text("/note", &o.Note, 0, 1000)
	f.text("/category", &o.Category, 0, 64)
	f.quantity("/quantity", o.Quantity)
	f.OneOf(f.at+"/period", o.Period, "day", "week", "month")
	if o.Every < 1 || o.Every > maxEvery {
		f.Fault(f.at+"/every", "must be from 1 to "+strconv.Itoa(maxEvery))
	}
	f.day("/next_on", o.NextOn)
}

func (i *Item) check(f *checker) {
	f.row(&i.at, i.ID, i.ListID)
	f.text("/name", &i.Name, 1, 200)
	f.text("/unit", &i.Unit, 0, 32)
	f.text("/note", &i.Note, 0, 1000)
	f.text("/category", &i.Category, 0, 64)
	f.quantity("/quantity", i.Quantity)
	if i.Barcode != "" && !shopping.Barcode(i.Barcode) {
		f.Fault(f.at+"/barcode", "must be an EAN or UPC of 8, 12, 13 or 14 digits with the right check digit")
	}
	if i.Photo != "" && !shopping.Photo(i.Photo) {
		f.Fault(f.at+"/photo", "must be an https address, or a key of letters, digits, -, _ and .; 500 characters at most")
	}
}

// full says that a family has no room for what is to come.
func full(what string, most int) error {
	return fault.New(fault.Conflict, "This would be more than "+strconv.Itoa(most)+" "+what+".").WithCode("too_many")
}
