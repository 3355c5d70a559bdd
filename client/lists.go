package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Family is a tenant: people who shop together.
type Family struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Timezone  string    `json:"timezone"`
	Role      string    `json:"role"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	Currency    string   `json:"currency"`     // of prices that are noted without one
	HistoryDays int      `json:"history_days"` // for how long it is remembered what items were
	Permissions []string `json:"permissions"`  // what the caller may do in it, such as list.create

	DefaultListID *string `json:"default_list_id"` // where AddItem puts things without a list; nil for the first that is open
}

// List is a shopping list. Permissions are what the caller may do on it and to its items, such as item.check; an answer to Sync leaves them out.
type List struct {
	ID          string     `json:"id"`
	FamilyID    string     `json:"family_id"`
	Kind        string     `json:"kind"` // shared or personal
	Name        string     `json:"name"`
	Owner       string     `json:"owner"`
	CreatedBy   string     `json:"created_by"`
	Position    float64    `json:"position"`
	Version     int64      `json:"version"`
	DueOn       *string    `json:"due_on"` // a date
	Assignee    *string    `json:"assignee"`
	Template    bool       `json:"template"`
	ArchivedAt  *time.Time `json:"archived_at"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	Permissions []string   `json:"permissions"`
}

// Item is what somebody wants.
type Item struct {
	ID        string     `json:"id"`
	ListID    string     `json:"list_id"`
	Name      string     `json:"name"`
	Quantity  *float64   `json:"quantity"` // at most three decimals
	Unit      string     `json:"unit"`
	Note      string     `json:"note"`
	Category  string     `json:"category"`
	Barcode   string     `json:"barcode"`
	Photo     string     `json:"photo"`
	Checked   bool       `json:"checked"`
	CheckedAt *time.Time `json:"checked_at"`
	CheckedBy *string    `json:"checked_by"`
	Position  float64    `json:"position"`
	Version   int64      `json:"version"`
	AddedBy   string     `json:"added_by"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`

	Permissions []string `json:"permissions"` // as those of List
}

// NewList is a list to make; Name is needed.
type NewList struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name"`
	Kind string `json:"kind,omitempty"` // shared if empty
	From string `json:"from,omitempty"` // a list whose items the new one gets
}

// NewItem is an item to add; either Name or Text is needed. Text is read as people write: "2 l milk".
type NewItem struct {
	ID       string   `json:"id,omitempty"`
	Text     string   `json:"text,omitempty"`
	Name     string   `json:"name,omitempty"`
	Quantity *float64 `json:"quantity,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Note     string   `json:"note,omitempty"`
	Category string   `json:"category,omitempty"`
	Barcode  string   `json:"barcode,omitempty"`
	After    string   `json:"after,omitempty"` // the item it comes behind
}

// ItemChange changes what is not nil.
type ItemChange struct {
	Name     *string  `json:"name,omitempty"`
	Quantity *float64 `json:"quantity,omitempty"`
	Unit     *string  `json:"unit,omitempty"`
	Note     *string  `json:"note,omitempty"`
	Category *string  `json:"category,omitempty"`
	Barcode  *string  `json:"barcode,omitempty"`
	After    *string  `json:"after,omitempty"`
}

// Families returns the families that the caller belongs to.
func (c *Client) Families(ctx context.Context) ([]Family, error) {
	var page struct{ Families []Family }
	return page.Families, c.do(ctx, call{method: http.MethodGet, path: "/v1/families"}, &page)
}

// Lists goes through the lists of a family that the caller can see. The first error ends it.
func (c *Client) Lists(ctx context.Context, family string) iter.Seq2[List, error] {
	return pages(ctx, c, listsPath(family), func(p *page) []List { return p.Lists })
}

// Items goes through the items of a list, in their order. The first error ends it.
func (c *Client) Items(ctx context.Context, family, list string) iter.Seq2[Item, error] {
	return pages(ctx, c, itemsPath(family, list), func(p *page) []Item { return p.Items })
}

// page is that of any collection.
type page struct {
	Lists []List `json:"lists"`
	Items []Item `json:"items"`
	Next  string `json:"next"`
}

func pages[T any](ctx context.Context, c *Client, path string, of func(*page) []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for next := path + "?limit=200"; next != ""; {
			var p page
			if err := c.do(ctx, call{method: http.MethodGet, path: next}, &p); err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, one := range of(&p) {
				if !yield(one, nil) {
					return
				}
			}
			next = p.Next
		}
	}
}

// List returns a list, with what the caller may do on it.
func (c *Client) List(ctx context.Context, family, list string) (*List, error) {
	return get[List](ctx, c, call{method: http.MethodGet, path: listPath(family, list)})
}

// CreateList makes a list.
func (c *Client) CreateList(ctx context.Context, family string, l NewList) (*List, error) {
	return get[List](ctx, c, call{method: http.MethodPost, path: listsPath(family), body: l})
}

// DeleteList deletes the version of a list that the caller has seen, with its items.
func (c *Client) DeleteList(ctx context.Context, l *List) error {
	return c.do(ctx, call{method: http.MethodDelete, path: listPath(l.FamilyID, l.ID), header: IfMatch(l.Version)}, nil)
}

// AddItem puts something on a list; "" is the family's default one.
func (c *Client) AddItem(ctx context.Context, family, list string, i NewItem) (*Item, error) {
	path := familyPath(family) + "/items"
	if list != "" {
		path = itemsPath(family, list)
	}
	return get[Item](ctx, c, call{method: http.MethodPost, path: path, body: i})
}

// UpdateItem changes the version of an item that the caller has seen.
func (c *Client) UpdateItem(ctx context.Context, family string, i *Item, change ItemChange) (*Item, error) {
	return get[Item](ctx, c, call{method: http.MethodPatch, path: itemPath(family, i), body: change, header: IfMatch(i.Version)})
}

// Check checks an item off, whatever its version.
func (c *Client) Check(ctx context.Context, family string, i *Item) (*Item, error) {
	return get[Item](ctx, c, call{method: http.MethodPut, path: itemPath(family, i) + "/check"})
}

// Uncheck puts an item back, whatever its version.
func (c *Client) Uncheck(ctx context.Context, family string, i *Item) (*Item, error) {
	return get[Item](ctx, c, call{method: http.MethodDelete, path: itemPath(family, i) + "/check"})
}

// RemoveItem takes an item off its list, whatever its version.
func (c *Client) RemoveItem(ctx context.Context, family string, i *Item) error {
	return c.do(ctx, call{method: http.MethodDelete, path: itemPath(family, i)}, nil)
}

func get[T any](ctx context.Context, c *Client, asked call) (*T, error) {
	v := new(T)
	if err := c.do(ctx, asked, v); err != nil {
		return nil, err
	}
	return v, nil
}

func familyPath(family string) string      { return "/v1/families/" + url.PathEscape(family) }
func listsPath(family string) string       { return familyPath(family) + "/lists" }
func listPath(family, list string) string  { return listsPath(family) + "/" + url.PathEscape(list) }
func itemsPath(family, list string) string { return listPath(family, list) + "/items" }

func itemPath(family string, i *Item) string {
	return itemsPath(family, i.ListID) + "/" + url.PathEscape(i.ID)
}
