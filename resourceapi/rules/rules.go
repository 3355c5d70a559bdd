package rules

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"

	"larder/internal/id"
	"larder/internal/precondition"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	maxNetworks = 16
	maxHours    = 32
	maxMembers  = 50

	// A network wider than these would call half the world home.
	leastBits4, leastBits6 = 8, 16
)

// Rules answers for the ready-made rules of families.
type Rules struct {
	DB *tenant.DB
}

// set is a family's rules as its people see them.
type set struct {
	policy.Rules
	Version     int64    `json:"version"`
	Permissions []string `json:"permissions"` // the caller's own, on the rules
}

// Mount adds the routes.
func (h *Rules) Mount(rt *web.Router) {
	rt.Handle(http.MethodGet, "/v1/families/{family_id}/rules", h.get)
	rt.Handle(http.MethodPut, "/v1/families/{family_id}/rules", h.put)
}

func (h *Rules) get(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	found, err := h.read(r.Context(), family)
	if err != nil {
		return err
	}
	if precondition.NotModified(w, r, found.Version, found.Permissions...) {
		return nil
	}
	return web.JSON(w, http.StatusOK, found)
}

func (h *Rules) put(w http.ResponseWriter, r *http.Request) error {
	family, err := web.ID(r, "family_id")
	if err != nil {
		return err
	}
	var draft policy.Rules
	if err := web.DecodeJSON(r, &draft); err != nil {
		return err
	}
	complete(&draft)
	if err := check(&draft); err != nil {
		return err
	}
	kept, err := h.replace(r.Context(), family, draft, func(version int64) error { return precondition.Require(r, version) })
	if err != nil {
		return err
	}
	precondition.SetETag(w, kept.Version, kept.Permissions...)
	return web.JSON(w, http.StatusOK, kept)
}

// complete makes what was left out the empty list that it means.
func complete(r *policy.Rules) {
	for i, network := range r.HomeNetworks {
		r.HomeNetworks[i] = network.Masked()
	}
	r.HomeNetworks = orEmpty(r.HomeNetworks)
	r.Hours = orEmpty(r.Hours)
	for i := range r.Hours {
		r.Hours[i].Days = orEmpty(r.Hours[i].Days)
	}
	if r.ReadOnly != nil {
		r.ReadOnly.Days = orEmpty(r.ReadOnly.Days)
	}
	r.FreshSignIn, r.SecondFactor, r.SecondFactorFor = orEmpty(r.FreshSignIn), orEmpty(r.SecondFactor), orEmpty(r.SecondFactorFor)
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// check reports every fault of the draft.
func check(r *policy.Rules) error {
	var f valid.Form
	if len(r.HomeNetworks) > maxNetworks {
		f.Fault("/home_networks", fmt.Sprintf("must be at most %d", maxNetworks))
	}
	for i, network := range r.HomeNetworks {
		if least := map[bool]int{true: leastBits4, false: leastBits6}[network.Addr().Is4()]; network.Bits() < least {
			f.Fault(fmt.Sprintf("/home_networks/%d", i), fmt.Sprintf("must be a network of /%d or narrower", least))
		}
	}
	if r.GuestsOnlyAtHome && len(r.HomeNetworks) == 0 {
		f.Fault("/home_networks", "must name the network that guests are to be in")
	}
	if len(r.Hours) > maxHours {
		f.Fault("/hours", fmt.Sprintf("must be at most %d", maxHours))
	}
	for i, hours := range r.Hours {
		at := fmt.Sprintf("/hours/%d", i)
		if len(hours.Members) == 0 || len(hours.Members) > maxMembers {
			f.Fault(at+"/members", fmt.Sprintf("must be 1 to %d", maxMembers))
		}
		for j, member := range hours.Members {
			f.Text(fmt.Sprintf("%s/members/%d", at, j), member, 1, 255)
		}
		checkWindow(&f, at, hours.Window)
	}
	if r.ReadOnly != nil {
		checkWindow(&f, "/read_only", *r.ReadOnly)
	}
	checkActions(&f, "/fresh_sign_in", r.FreshSignIn)
	checkActions(&f, "/second_factor", r.SecondFactor)
	distinct(&f, "/second_factor_for", r.SecondFactorFor, []policy.Role{policy.Admin, policy.Member, policy.Guest})
	return f.Err()
}

func checkWindow(f *valid.Form, at string, w policy.Window) {
	if w.From == w.Until || w.From == policy.EndOfDay {
		f.Fault(at+"/from", "must be another time of day than until, and before 24:00")
	}
	distinct(f, at+"/days", w.Days, policy.Weekdays())
}

func checkActions(f *valid.Form, at string, actions []policy.Action) {
	distinct(f, at, actions, policy.Guardable())
}

// distinct checks that each word is one of the known ones and stands there once.
func distinct[T ~string](f *valid.Form, at string, words, known []T) {
	for i, word := range words {
		if !slices.Contains(known, word) || slices.Contains(words[:i], word) {
			f.Fault(fmt.Sprintf("%s/%d", at, i), fmt.Sprintf("must be one of %v, each at most once", known))
		}
	}
}

const (
	selectRules = `SELECT rules, rules_version FROM grocery.families WHERE id = $1`
	lockRules   = selectRules + ` FOR UPDATE`
	updateRules = `UPDATE grocery.families SET rules = $2, rules_version = rules_version + 1 WHERE id = $1 RETURNING rules_version`
)

func (s *set) scan(row pgx.Row) error {
	var kept []byte
	if err := row.Scan(&kept, &s.Version); err != nil {
		return err
	}
	if kept != nil {
		if err := json.Unmarshal(kept, &s.Rules); err != nil {
			return err
		}
	}
	complete(&s.Rules)
	return nil
}

func (h *Rules) read(ctx context.Context, family id.ID) (*set, error) {
	var found set
	return &found, h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
		tx.Row(found.scan, selectRules, family)
		if err := tx.SendFor(ctx, policy.RulesRead); err != nil {
			return err
		}
		found.Permissions = tx.Permitted(ctx, tx.FamilyResource(), policy.RulesRead, policy.RulesChange)
		return nil
	})
}

func (h *Rules) replace(ctx context.Context, family id.ID, draft policy.Rules, guard func(version int64) error) (*set, error) {
	kept := set{Rules: draft}
	return &kept, h.DB.Write(ctx, family, func(tx *tenant.Tx) error {
		var before set
		tx.Row(before.scan, lockRules, family)
		if err := tx.SendFor(ctx, policy.RulesChange); err != nil {
			return err
		}
		if err := guard(before.Version); err != nil {
			return err
		}
		if slices.Contains(draft.SecondFactorFor, policy.Role(tx.Role())) && tx.Caller.ACR != policy.TwoFactors {
			return bearer.StepUp([]string{policy.TwoFactors}, 0) // or he would shut himself out
		}
		text, err := json.Marshal(draft)
		if err != nil {
			return err
		}
		tx.Row(func(row pgx.Row) error { return row.Scan(&kept.Version) }, updateRules, family, text)
		tx.Record(ctx, tenant.Change{
			Event: "family.rules_changed", Entity: family.String(), Version: before.Version + 1,
			Details: map[string]any{"before": before.Rules, "after": draft},
		})
		kept.Permissions = tx.Permitted(ctx, tx.FamilyResource(), policy.RulesRead, policy.RulesChange)
		return nil
	})
}
