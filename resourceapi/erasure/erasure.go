package erasure

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// Scope is what the token must carry. No client is ever given it.
const Scope = "people:erase"

const (
	// lockFamily lets others make things that belong to the family, as in package
	// family: who does may hold what the person is forgotten in.
	lockFamily = `SELECT id FROM grocery.families WHERE id = $1 FOR NO KEY UPDATE`

	selectRole = `SELECT role FROM grocery.family_members WHERE family_id = $1 AND user_id = $2 FOR UPDATE`

	// An admin whose access ends some day does not count: the family would be left without.
	countAdmins = `
SELECT count(*) FROM grocery.family_members WHERE family_id = $1 AND role = 'admin' AND user_id <> $2 AND expires_at IS NULL`

	selectHeir = `
SELECT user_id, version FROM grocery.family_members WHERE family_id = $1 AND role = 'member' AND user_id <> $2 AND expires_at IS NULL
 ORDER BY joined_at, user_id LIMIT 1`

	promote      = `UPDATE grocery.family_members SET role = 'admin', version = version + 1 WHERE family_id = $1 AND user_id = $2`
	deleteMember = `DELETE FROM grocery.family_members WHERE family_id = $1 AND user_id = $2`
	forget       = `SELECT grocery.forget_person($1, $2)`

	// forgetHours takes the person out of the hours that the family's rules set for
	// some, and hours that are for nobody then out of the rules.
	forgetHours = `
UPDATE grocery.families SET rules_version = rules_version + 1, rules = jsonb_set(rules, '{hours}', (
         SELECT coalesce(jsonb_agg(jsonb_set(h, '{members}', (h -> 'members') - $2)), '[]') FROM jsonb_array_elements(rules -> 'hours') h
          WHERE (h -> 'members') - $2 <> '[]'))
 WHERE id = $1 AND rules -> 'hours' @> jsonb_build_array(jsonb_build_object('members', jsonb_build_array($2::text)))`

	// forgetMessages is for those that webhooks were sent, or are to be: they lie
	// for 30 days.
	forgetMessages = `
UPDATE grocery.webhook_deliveries SET payload = replace(replace(payload, '"user:' || $2 || '"', '"user:deleted"'), '"' || $2 || '"', '"deleted"')
 WHERE family_id = $1 AND position($2::text IN payload) > 0`

	deleteFeed       = `DELETE FROM grocery.change_feed WHERE family_id = $1`
	deleteOperations = `DELETE FROM grocery.operations WHERE family_id = $1`
	deleteFamily     = `DELETE FROM grocery.families WHERE id = $1`
)

// Erasures forgets people. Issuer is the only one whose word is taken.
type Erasures struct {
	DB     *tenant.DB
	Issuer string
}

// Mount adds the route.
func (h *Erasures) Mount(rt *web.Router) {
	rt.Handle(http.MethodPost, "/v1/erasures", h.create)
}

func (h *Erasures) create(w http.ResponseWriter, r *http.Request) error {
	caller := bearer.From(r.Context())
	if caller == nil || !caller.Has(Scope) {
		return bearer.InsufficientScope(Scope)
	}
	if caller.Kind != bearer.App || caller.ClientID != h.Issuer {
		return fault.New(fault.Forbidden, "Only the identity provider may do this.").WithCode("not_the_issuer")
	}
	var asked struct {
		UserID string `json:"user_id"`
	}
	if err := web.DecodeJSON(r, &asked); err != nil {
		return err
	}
	var f valid.Form
	person := f.Text("/user_id", asked.UserID, 1, 255)
	if err := f.Err(); err != nil {
		return err
	}
	if err := h.erase(r.Context(), person); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// erase goes through the person's families. What is done when it fails is not
// undone: whoever asked asks again.
func (h *Erasures) erase(ctx context.Context, person string) error {
	ctx = tenant.WithKey(ctx, nil) // each family has a transaction of its own, and doing it twice does no harm
	families, err := h.DB.EraserTraces(ctx, person)
	if err != nil {
		return err
	}
	for _, family := range families {
		err := h.DB.Eraser(ctx, family, person, func(tx *tenant.Tx) error { return leave(ctx, tx, person) })
		if err != nil && !fault.Is(err, fault.NotFound) { // the family may have ended meanwhile
			return err
		}
	}
	return nil
}

// place is what the person is to the family.
type place struct {
	role        string // "" for somebody who has left
	otherAdmins int
	heir        string
	heirVersion int64
}

func leave(ctx context.Context, tx *tenant.Tx, person string) error {
	var p place
	var locked id.ID
	tx.Row(func(row pgx.Row) error { return row.Scan(&locked) }, lockFamily, tx.Family)
	tx.Queue(selectRole, tx.Family, person).Query(func(rows pgx.Rows) error {
		return scan(rows, &p.role)
	})
	tx.Row(func(row pgx.Row) error { return row.Scan(&p.otherAdmins) }, countAdmins, tx.Family, person)
	tx.Queue(selectHeir, tx.Family, person).Query(func(rows pgx.Rows) error {
		return scan(rows, &p.heir, &p.heirVersion)
	})
	if err := tx.Send(ctx); err != nil {
		return err
	}
	details := map[string]any{"reason": "account_deleted", "role": p.role}
	if p.role == string(policy.Admin) && p.otherAdmins == 0 {
		if p.heir == "" {
			tx.Record(ctx, tenant.Change{Event: "family.deleted", Entity: tx.Family.String(), Details: details})
			tx.Queue(deleteFeed, tx.Family)
			tx.Queue(deleteOperations, tx.Family)
			tx.Queue(deleteFamily, tx.Family)
			return nil
		}
		tx.Queue(promote, tx.Family, p.heir)
		tx.Record(ctx, tenant.Change{
			Event: "member.changed", Entity: p.heir, Version: p.heirVersion + 1,
			Details: map[string]any{"role_before": policy.Member, "role": policy.Admin, "reason": "the last admin's account was deleted"},
		})
	}
	tx.Queue(deleteMember, tx.Family, person)
	tx.Queue(forgetHours, tx.Family, person)
	tx.Queue(forgetMessages, tx.Family, person)
	tx.Queue(forget, tx.Family, person)
	if p.role != "" { // who follows the feed hears who left, as long as it remembers
		tx.Record(ctx, tenant.Change{Event: "member.left", Entity: person, Details: details})
	}
	return nil
}

func scan(rows pgx.Rows, to ...any) error {
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return err
		}
	}
	return rows.Err()
}
