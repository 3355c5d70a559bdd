package portable

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// Everything of one person in one family: what is his, and what bears his name.
const (
	selectMyFamilies = `SELECT id FROM grocery.families WHERE id = ANY (grocery.families()) ORDER BY created_at, id LIMIT 200`

	myMembership = `
SELECT json_build_object('role', role, 'display_name', display_name, 'joined_at', joined_at, 'expires_at', expires_at)
  FROM grocery.family_members WHERE family_id = $1 AND user_id = $2`

	myLists = `
SELECT json_build_object('id', id, 'kind', kind, 'name', name, 'due_on', due_on, 'archived', archived_at IS NOT NULL, 'created_at', created_at)
  FROM grocery.lists WHERE family_id = $1 AND (owner = $2 OR created_by = 'user:' || $2) ORDER BY created_at, id LIMIT 1000`

	myItems = `
SELECT json_build_object('id', id, 'list_id', list_id, 'name', name, 'quantity', quantity::float8, 'unit', unit, 'note', note, 'category', category,
                         'barcode', barcode, 'photo', photo, 'added_by_you', added_by = 'user:' || $2, 'created_at', created_at,
                         'checked_at', CASE WHEN checked_by = 'user:' || $2 THEN checked_at END)
  FROM grocery.items WHERE family_id = $1 AND (private_to = $2 OR added_by = 'user:' || $2 OR checked_by = 'user:' || $2)
 ORDER BY created_at DESC, id LIMIT 10000`

	myKitchen = `
SELECT json_build_object('what', 'store', 'name', name, 'at', created_at) FROM grocery.stores WHERE family_id = $1 AND created_by = 'user:' || $2
UNION ALL SELECT json_build_object('what', 'price', 'name', name, 'at', noted_at) FROM grocery.prices WHERE family_id = $1 AND noted_by = 'user:' || $2
UNION ALL SELECT json_build_object('what', 'favourite', 'name', name, 'at', created_at) FROM grocery.favourites WHERE family_id = $1 AND created_by = 'user:' || $2
UNION ALL SELECT json_build_object('what', 'pantry', 'name', name, 'at', created_at) FROM grocery.pantry WHERE family_id = $1 AND created_by = 'user:' || $2
UNION ALL SELECT json_build_object('what', 'recurring', 'name', name, 'at', created_at) FROM grocery.recurring WHERE family_id = $1 AND created_by = 'user:' || $2
UNION ALL SELECT json_build_object('what', 'recipe', 'name', name, 'at', created_at) FROM grocery.recipes WHERE family_id = $1 AND created_by = 'user:' || $2
 LIMIT 10000`

	mySuggestions = `
SELECT json_build_object('name', name, 'uses', uses, 'last_at', last_at) FROM grocery.item_uses WHERE family_id = $1 AND owner = $2 ORDER BY name_key LIMIT 2000`

	myActivity = `
SELECT json_build_object('at', occurred_at, 'action', action, 'result', result, 'target', target, 'reason', reason, 'client_id', client_id,
                         'ip_address', source_ip, 'browser', user_agent)
  FROM grocery.audit_events WHERE family_id = $1 AND actor_kind = 'user' AND actor_id = $2 ORDER BY occurred_at DESC, id LIMIT 5000`
)

// Diets knows what people want avoided; it tells each his own, and an admin that
// of the family's children.
type Diets interface {
	Own(ctx context.Context, family id.ID) (any, error)
	Children(ctx context.Context, family id.ID) (any, error)
}

// leftOut is something of the caller's that he may not have now, and why.
type leftOut struct {
	FamilyID id.ID  `json:"family_id"`
	What     string `json:"what"` // family, diet or children
	Code     string `json:"code"`
	Detail   string `json:"detail"`
}

// refused tells whether err is a no of a family's rules or of the policy, and of
// what; any other error ends the export.
func refused(err error, family id.ID, what string) (no leftOut, ok bool) {
	shown, ok := web.Shown(err)
	if !ok || shown.Kind != fault.Forbidden && shown.Kind != fault.Unauthenticated {
		return no, false
	}
	return leftOut{family, what, shown.Code, shown.Message}, true
}

// mine is what is held of the caller in one family. What does not fit the
// bounds of the queries is the oldest.
type mine struct {
	FamilyID    id.ID             `json:"family_id"`
	FamilyName  string            `json:"family_name"`
	Membership  json.RawMessage   `json:"membership"`
	Diet        any               `json:"diet"`
	Children    any               `json:"children"`
	Lists       []json.RawMessage `json:"lists"`
	Items       []json.RawMessage `json:"items"`
	Kitchen     []json.RawMessage `json:"kitchen"`
	Suggestions []json.RawMessage `json:"suggestions"`
	Activity    []json.RawMessage `json:"activity"`
}

func (h *Portable) exportMine(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	var families []id.ID
	var subject string
	err := h.DB.Mine(ctx, func(tx *tenant.Tx) error {
		if !tx.IsUser() {
			return fault.New(fault.Forbidden, "Only people have data of their own.").WithCode("not_a_person")
		}
		subject = tx.Caller.Subject
		tx.Queue(selectMyFamilies).Query(func(rows pgx.Rows) (err error) {
			families, err = pgx.CollectRows(rows, pgx.RowTo[id.ID])
			return err
		})
		return tx.Send(ctx)
	})
	if err != nil {
		return err
	}
	all, without := []*mine{}, []leftOut{}
	for _, family := range families {
		one, missing, err := h.readMine(ctx, family, subject)
		without = append(without, missing...)
		switch {
		case fault.Is(err, fault.NotFound): // he left it, or it ended, a moment ago
		case err != nil:
			return err
		case one != nil:
			all = append(all, one)
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, map[string]any{"user_id": subject, "exported_at": h.DB.Now().UTC(), "families": all, "left_out": without})
}

// readMine returns nil for a family that is left out as a whole.
func (h *Portable) readMine(ctx context.Context, family id.ID, subject string) (m *mine, without []leftOut, err error) {
	m = &mine{FamilyID: family, Diet: map[string]any{}, Children: []any{}}
	if err := h.readRows(ctx, m, subject); err != nil {
		if no, ok := refused(err, family, "family"); ok {
			return nil, []leftOut{no}, nil
		}
		return nil, nil, err
	}
	for _, part := range []struct {
		what string
		to   *any
		read func(ctx context.Context, family id.ID) (any, error)
	}{{"diet", &m.Diet, h.Diets.Own}, {"children", &m.Children, h.Diets.Children}} {
		got, err := part.read(ctx, family)
		no, ok := refused(err, family, part.what)
		switch {
		case err == nil:
			*part.to = got
		case ok:
			without = append(without, no)
		default:
			return nil, nil, err
		}
	}
	return m, without, nil
}

func (h *Portable) readRows(ctx context.Context, m *mine, subject string) error {
	family := m.FamilyID
	return h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(func(row pgx.Row) error { return row.Scan(&m.FamilyName) }, `SELECT name FROM grocery.families WHERE id = $1`, family)
		tx.Row(func(row pgx.Row) error { return row.Scan(&m.Membership) }, myMembership, family, subject)
		for _, q := range []struct {
			sql string
			to  *[]json.RawMessage
		}{{myLists, &m.Lists}, {myItems, &m.Items}, {myKitchen, &m.Kitchen}, {mySuggestions, &m.Suggestions}, {myActivity, &m.Activity}} {
			tx.Queue(q.sql, family, subject).Query(func(rows pgx.Rows) (err error) {
				*q.to, err = pgx.CollectRows(rows, pgx.RowTo[json.RawMessage])
				return err
			})
		}
		return tx.SendFor(ctx, policy.FamilyRead)
	})
}
