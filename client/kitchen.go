package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Collection is the things of one sort in a family: few enough to be read at once. A change, C, sets what is not nil;
// with it a thing is made, too.
type Collection[T, C any] struct {
	client     *Client
	path, name string
}

// All returns every thing.
func (c *Collection[T, C]) All(ctx context.Context) ([]T, error) {
	var answer map[string]json.RawMessage
	if err := c.client.do(ctx, call{method: http.MethodGet, path: c.path}, &answer); err != nil {
		return nil, err
	}
	var all []T
	return all, json.Unmarshal(answer[c.name], &all)
}

// Get returns one thing.
func (c *Collection[T, C]) Get(ctx context.Context, id string) (*T, error) {
	return get[T](ctx, c.client, call{method: http.MethodGet, path: c.one(id)})
}

// Create makes a thing.
func (c *Collection[T, C]) Create(ctx context.Context, draft C) (*T, error) {
	return get[T](ctx, c.client, call{method: http.MethodPost, path: c.path, body: draft})
}

// Update changes the version of a thing that the caller has seen.
func (c *Collection[T, C]) Update(ctx context.Context, id string, version int64, change C) (*T, error) {
	return get[T](ctx, c.client, call{method: http.MethodPatch, path: c.one(id), body: change, header: IfMatch(version)})
}

// Remove takes away the version of a thing that the caller has seen.
func (c *Collection[T, C]) Remove(ctx context.Context, id string, version int64) error {
	return c.client.do(ctx, call{method: http.MethodDelete, path: c.one(id), header: IfMatch(version)}, nil)
}

func (c *Collection[T, C]) one(id string) string { return c.path + "/" + url.PathEscape(id) }

func collection[T, C any](c *Client, family, name string) *Collection[T, C] {
	return &Collection[T, C]{c, familyPath(family) + "/" + name, name}
}

// Stores are where a family shops.
func (c *Client) Stores(family string) *Collection[Store, StoreChange] {
	return collection[Store, StoreChange](c, family, "stores")
}

// Recipes are what a family cooks; All returns them without method and ingredients.
func (c *Client) Recipes(family string) *Collection[Recipe, RecipeChange] {
	return collection[Recipe, RecipeChange](c, family, "recipes")
}

// Pantry is what a family has in the house.
func (c *Client) Pantry(family string) *Collection[Stock, StockChange] {
	return collection[Stock, StockChange](c, family, "pantry")
}

// Recurring is what goes on a family's lists again and again.
func (c *Client) Recurring(family string) *Collection[Recurring, RecurringChange] {
	return collection[Recurring, RecurringChange](c, family, "recurring")
}

// Favourites are what a family always likes to see suggested. To create one of a name that is there returns that one.
func (c *Client) Favourites(family string) *Collection[Favourite, FavouriteChange] {
	return collection[Favourite, FavouriteChange](c, family, "favourites")
}

// Webhooks are the addresses that are told of what happens.
func (c *Client) Webhooks(family string) *Collection[Webhook, WebhookChange] {
	return collection[Webhook, WebhookChange](c, family, "webhooks")
}

// Shop puts the ingredients of a recipe on a list, for so many servings, and returns the ids of the items.
func (c *Client) Shop(ctx context.Context, family, recipe, list string, servings int) ([]string, error) {
	var put struct{ Items []string }
	asked := map[string]any{"list_id": list, "servings": servings}
	return put.Items, c.do(ctx, call{method: http.MethodPost, path: c.Recipes(family).one(recipe) + "/shop", body: asked}, &put)
}

// Store is a place to shop. Aisles are categories, in the order of the way through it. Permissions, here and below, are
// what the caller may do with the thing, such as kitchen.keep; an answer to Sync leaves them out.
type Store struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Aisles      []string  `json:"aisles"`
	OnlyAisles  bool      `json:"only_aisles"` // nothing else is bought there
	Version     int64     `json:"version"`
	Permissions []string  `json:"permissions"`
	CreatedBy   string    `json:"created_by"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// StoreChange changes or makes a store.
type StoreChange struct {
	Name       *string  `json:"name,omitempty"`
	Aisles     []string `json:"aisles,omitzero"`
	OnlyAisles *bool    `json:"only_aisles,omitempty"`
}

// Ingredient is a part of a recipe. To change one, Text may stand for all the rest: "2 l milk".
type Ingredient struct {
	Text     string   `json:"text,omitempty"`
	Name     string   `json:"name,omitempty"`
	Quantity *float64 `json:"quantity,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Note     string   `json:"note,omitempty"`
	Category string   `json:"category,omitempty"`
}

// Recipe is what it takes to cook something for so many servings.
type Recipe struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Servings    int          `json:"servings"`
	Method      string       `json:"method"`
	Ingredients []Ingredient `json:"ingredients"`
	Version     int64        `json:"version"`
	Permissions []string     `json:"permissions"`
	CreatedBy   string       `json:"created_by"`
	CreatedAt   time.Time    `json:"created_at"`
	UpdatedAt   time.Time    `json:"updated_at"`
}

// RecipeChange changes or makes a recipe.
type RecipeChange struct {
	Name        *string      `json:"name,omitempty"`
	Servings    *int         `json:"servings,omitempty"`
	Method      *string      `json:"method,omitempty"`
	Ingredients []Ingredient `json:"ingredients,omitzero"`
}

// Stock is how much there is of something. Where it is less than Minimum, the list is fed.
type Stock struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Quantity    float64   `json:"quantity"`
	Unit        string    `json:"unit"`
	Category    string    `json:"category"`
	Minimum     *float64  `json:"minimum"`
	ListID      *string   `json:"list_id"`
	NotFed      string    `json:"not_fed"` // why a change put nothing on the list: list_full or list_archived; only in its answer
	Version     int64     `json:"version"`
	Permissions []string  `json:"permissions"`
	CreatedBy   string    `json:"created_by"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// StockChange changes or makes a stock.
type StockChange struct {
	Name     *string  `json:"name,omitempty"`
	Quantity *float64 `json:"quantity,omitempty"`
	Unit     *string  `json:"unit,omitempty"`
	Category *string  `json:"category,omitempty"`
	Minimum  *float64 `json:"minimum,omitempty"`
	ListID   *string  `json:"list_id,omitempty"`
}

// Recurring goes on its list every so many days, weeks or months.
type Recurring struct {
	ID          string    `json:"id"`
	ListID      string    `json:"list_id"`
	Name        string    `json:"name"`
	Quantity    *float64  `json:"quantity"`
	Unit        string    `json:"unit"`
	Note        string    `json:"note"`
	Category    string    `json:"category"`
	Every       int       `json:"every"`
	Period      string    `json:"period"`  // day, week or month
	NextOn      string    `json:"next_on"` // a date
	Version     int64     `json:"version"`
	Permissions []string  `json:"permissions"`
	CreatedBy   string    `json:"created_by"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// RecurringChange changes or makes what recurs.
type RecurringChange struct {
	ListID   *string  `json:"list_id,omitempty"`
	Name     *string  `json:"name,omitempty"`
	Quantity *float64 `json:"quantity,omitempty"`
	Unit     *string  `json:"unit,omitempty"`
	Note     *string  `json:"note,omitempty"`
	Category *string  `json:"category,omitempty"`
	Every    *int     `json:"every,omitempty"`
	Period   *string  `json:"period,omitempty"`
	NextOn   *string  `json:"next_on,omitempty"`
}

// Favourite is something that a family always likes to see suggested.
type Favourite struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Quantity    *float64  `json:"quantity"`
	Unit        string    `json:"unit"`
	Category    string    `json:"category"`
	Version     int64     `json:"version"`
	Permissions []string  `json:"permissions"`
	CreatedBy   string    `json:"created_by"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// FavouriteChange changes or makes a favourite.
type FavouriteChange struct {
	Name     *string  `json:"name,omitempty"`
	Quantity *float64 `json:"quantity,omitempty"`
	Unit     *string  `json:"unit,omitempty"`
	Category *string  `json:"category,omitempty"`
}

// Webhook is an address that is told of what happens. Secret is there when it was just made, and never again.
type Webhook struct {
	ID             string    `json:"id"`
	URL            string    `json:"url"`
	Events         []string  `json:"events"` // none: all of them
	Enabled        bool      `json:"enabled"`
	DisabledReason *string   `json:"disabled_reason"`
	Version        int64     `json:"version"`
	Permissions    []string  `json:"permissions"`
	CreatedBy      string    `json:"created_by"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	Secret         string    `json:"secret"`
}

// WebhookChange changes or makes a webhook; one that is made is enabled.
type WebhookChange struct {
	URL     *string  `json:"url,omitempty"`
	Events  []string `json:"events,omitzero"`
	Enabled *bool    `json:"enabled,omitempty"`
}
