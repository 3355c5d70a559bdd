package bearer

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"larder/internal/id"
)

// Limit is what a person narrowed a token down to (RFC 9396): it adds nothing
// to the scopes, and what it does not name the token cannot do. A Limit without
// details allows nothing.
type Limit struct {
	Details []Detail
}

// Detail is one thing that a limited token may do.
type Detail struct {
	Family  id.ID
	Lists   []id.ID   // nil means every shared list
	Actions []string  // view, check, add, edit, manage
	Until   time.Time // zero for no end of its own
}

// Of returns the details that are in force for a family.
func (l *Limit) Of(family id.ID, now time.Time) []Detail {
	var in []Detail
	for _, d := range l.Details {
		if d.Family == family && (d.Until.IsZero() || now.Before(d.Until)) {
			in = append(in, d)
		}
	}
	return in
}

// readLimit reads the authorization details of a token, nil if it has none. A
// type that is not ours, or one for another API, allows nothing here.
func readLimit(raw json.RawMessage, resource string) (*Limit, error) {
	const grocery = "grocery_list"
	if len(raw) == 0 {
		return nil, nil //nolint:nilnil // no limit is not an error
	}
	var claimed []struct {
		Type      string     `json:"type"`
		Locations []string   `json:"locations"`
		Actions   []string   `json:"actions"`
		Family    id.ID      `json:"family_id"`
		Lists     []id.ID    `json:"list_ids"`
		Until     *time.Time `json:"until"`
	}
	if err := json.Unmarshal(raw, &claimed); err != nil {
		return nil, fmt.Errorf("authorization_details: %w", err)
	}
	l := &Limit{}
	for _, c := range claimed {
		elsewhere := len(c.Locations) > 0 && !slices.Contains(c.Locations, resource)
		emptied := c.Lists != nil && len(c.Lists) == 0
		if c.Type != grocery || elsewhere || emptied {
			continue
		}
		d := Detail{Family: c.Family, Lists: c.Lists, Actions: c.Actions}
		if c.Until != nil {
			d.Until = *c.Until
		}
		l.Details = append(l.Details, d)
	}
	return l, nil
}
