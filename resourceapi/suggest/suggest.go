package suggest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/paging"
	"larder/internal/shopping"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// selectSuggestions weighs each use by how long ago the last one was: after a
// month it counts half as much.
const selectSuggestions = `
SELECT name, quantity, unit, category, favourite, uses, last_at
  FROM (SELECT DISTINCT ON (name_key) name_key, name, quantity, unit, category, favourite, uses, last_at,
               uses / (1 + extract(epoch FROM now() - last_at) / 2592000) AS weight
          FROM (SELECT name_key, name, quantity::float8, unit, category, true AS favourite, 0 AS uses, NULL::timestamptz AS last_at
                  FROM grocery.favourites WHERE family_id = $1
                UNION ALL
                SELECT name_key, min(name), NULL, min(unit), max(category), false, sum(uses)::integer, max(last_at)
                  FROM grocery.item_uses WHERE family_id = $1 GROUP BY name_key) both_of_them
         WHERE ($2 = '' OR starts_with(name_key, $2) OR strpos(name_key, ' ' || $2) > 0)
           AND NOT EXISTS (SELECT FROM grocery.items i WHERE i.family_id = $1 AND i.list_id = $3 AND i.checked_at IS NULL
                              AND lower(regexp_replace(normalize(i.name), '\s+', ' ', 'g')) = name_key)
         ORDER BY name_key, favourite DESC) weighed
 ORDER BY favourite DESC, weight DESC NULLS LAST, name_key LIMIT $4`

const maxQuery = 200 // characters

// Suggestions answers with suggestions.
type Suggestions struct {
	DB *tenant.DB
}

// Suggestion is something that might be wanted.
type Suggestion struct {
	Name      string     `json:"name"`
	Quantity  *float64   `json:"quantity"`
	Unit      string     `json:"unit"`
	Category  string     `json:"category"`
	Favourite bool       `json:"favourite"`
	Uses      int        `json:"uses"`
	LastAt    *time.Time `json:"last_at"`
}

// Mount adds the route.
func (h *Suggestions) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/suggestions", h.suggest)
}

func (h *Suggestions) suggest(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	query := r.URL.Query()
	limit, err := paging.Limit(query)
	if err != nil {
		return err
	}
	var list id.ID
	if asked := query.Get("list_id"); asked != "" {
		if list, err = id.Parse(asked); err != nil {
			return valid.Parameter("list_id", "must be the id of a list")
		}
	}
	q := strings.ReplaceAll(strings.ToValidUTF8(query.Get("q"), ""), "\x00", "")
	if len([]rune(q)) > maxQuery {
		return valid.Parameter("q", "must have at most 200 characters")
	}
	found, err := h.selectSuggestions(r.Context(), family, list, shopping.Key(q), limit)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"suggestions": found})
}

func (h *Suggestions) selectSuggestions(ctx context.Context, family, list id.ID, q string, limit int) ([]Suggestion, error) {
	found := []Suggestion{}
	err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Queue(selectSuggestions, family, q, list, limit).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var s Suggestion
				if err := rows.Scan(&s.Name, &s.Quantity, &s.Unit, &s.Category, &s.Favourite, &s.Uses, &s.LastAt); err != nil {
					return err
				}
				found = append(found, s)
			}
			return rows.Err()
		})
		return tx.SendFor(ctx, policy.KitchenRead)
	})
	return found, err
}
