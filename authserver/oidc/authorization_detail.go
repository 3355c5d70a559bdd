package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"larder/internal/id"
)

// ListDetailType is the one type of authorization details (RFC 9396 §2.1) that
// there is: some of what a scope allows, on some lists of one family.
const ListDetailType = "grocery_list"

// DetailTypes returns every type that a client may be registered for.
func DetailTypes() []string { return []string{ListDetailType} }

// Bounds of a request: what is granted travels in a header with each call.
const (
	maxDetailsIn  = 8 << 10 // bytes of the parameter
	maxDetailsOut = 2 << 10 // bytes of what stands in a token
	maxDetails    = 5
	maxListIDs    = 20
	maxLocations  = 5
)

// AuthorizationDetail is what a person lets a client do (RFC 9396): these
// actions on these lists of a family, until then. It limits what the scopes of
// the token allow and adds nothing to it.
type AuthorizationDetail struct {
	Type      string     `json:"type"`
	Locations []string   `json:"locations,omitempty"` // resource indicators; none means every audience of the token
	Actions   []string   `json:"actions"`             // view, check, add, edit, manage; each lets the client see the list
	FamilyID  id.ID      `json:"family_id"`
	ListIDs   []id.ID    `json:"list_ids,omitempty"` // none means every shared list of the family
	Until     *time.Time `json:"until,omitempty"`    // nil means as long as the grant
}

// detailActions are the actions, in the order in which people are shown them.
func detailActions() []string { return []string{"view", "check", "add", "edit", "manage"} }

// ReadAuthorizationDetails parses the parameter of a request and puts it into
// its plainest form. The error says what is wrong with it, for the client.
// Members that are not known are refused, not ignored (§5).
func ReadAuthorizationDetails(raw string, now time.Time) ([]AuthorizationDetail, error) {
	if len(raw) > maxDetailsIn {
		return nil, errors.New("it has more than 8 KiB")
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(raw)))
	decoder.DisallowUnknownFields()
	var all []AuthorizationDetail
	if err := decoder.Decode(&all); err != nil {
		return nil, errors.New("it is not an array of objects with known members")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the array")
	}
	if len(all) == 0 || len(all) > maxDetails {
		return nil, fmt.Errorf("it must have 1 to %d members", maxDetails)
	}
	for i := range all {
		if err := all[i].check(now); err != nil {
			return nil, fmt.Errorf("member %d: %w", i, err)
		}
	}
	if out, err := json.Marshal(all); err != nil || len(out) > maxDetailsOut {
		return nil, errors.New("it is too large for a token")
	}
	return all, nil
}

func (d *AuthorizationDetail) check(now time.Time) error {
	if d.Type != ListDetailType {
		return errors.New("the type is not known")
	}
	if len(d.Locations) > maxLocations {
		return fmt.Errorf("there may be %d locations", maxLocations)
	}
	if d.FamilyID.IsZero() {
		return errors.New("family_id is missing")
	}
	if d.ListIDs != nil && len(d.ListIDs) == 0 || len(d.ListIDs) > maxListIDs || slices.ContainsFunc(d.ListIDs, id.ID.IsZero) {
		return fmt.Errorf("list_ids must be 1 to %d ids, or absent for every list", maxListIDs)
	}
	slices.SortFunc(d.ListIDs, func(a, b id.ID) int { return bytes.Compare(a[:], b[:]) })
	d.ListIDs = slices.Compact(d.ListIDs)
	if err := d.checkActions(); err != nil {
		return err
	}
	if d.Until != nil {
		until := d.Until.UTC().Truncate(time.Second)
		if !until.After(now) {
			return errors.New("until is over")
		}
		d.Until = &until
	}
	return nil
}

func (d *AuthorizationDetail) checkActions() error {
	known := detailActions()
	for _, action := range d.Actions {
		if !slices.Contains(known, action) {
			return errors.New("actions must be some of view, check, add, edit and manage")
		}
	}
	if len(d.Actions) == 0 {
		return errors.New("actions is missing")
	}
	d.Actions = slices.DeleteFunc(known, func(action string) bool { return !slices.Contains(d.Actions, action) })
	return nil
}

// Within returns d as it may be given out of granted, and whether it may: what
// it asks for must lie within one of them. A detail that names no end or no
// location gets those of the one that it lies in.
func (d AuthorizationDetail) Within(granted []AuthorizationDetail) (AuthorizationDetail, bool) {
	for _, g := range granted {
		if !d.lies(g) {
			continue
		}
		if d.Until == nil {
			d.Until = g.Until
		}
		if len(d.Locations) == 0 {
			d.Locations = g.Locations
		}
		return d, true
	}
	return d, false
}

func (d AuthorizationDetail) lies(g AuthorizationDetail) bool {
	switch {
	case d.Type != g.Type || d.FamilyID != g.FamilyID:
		return false
	case len(g.ListIDs) > 0 && (len(d.ListIDs) == 0 || !within(d.ListIDs, g.ListIDs)):
		return false
	case len(g.Locations) > 0 && !within(d.Locations, g.Locations):
		return false
	case d.Until != nil && g.Until != nil && d.Until.After(*g.Until):
		return false
	case slices.Contains(g.Actions, "manage"):
		return true // it stands for all of them
	}
	return within(d.Actions, append([]string{"view"}, g.Actions...))
}

func within[T comparable](part, whole []T) bool {
	return !slices.ContainsFunc(part, func(v T) bool { return !slices.Contains(whole, v) })
}

// LastUntil is when the last of the details is over; zero when one has no end,
// or there are none.
func LastUntil(details []AuthorizationDetail) time.Time {
	var last time.Time
	for _, d := range details {
		if d.Until == nil {
			return time.Time{}
		}
		if d.Until.After(last) {
			last = *d.Until
		}
	}
	return last
}

// BeyondDetails are the scopes that authorization details leave as they are:
// the others mean what the details say, and no more.
func BeyondDetails(scopes []string, details []AuthorizationDetail) []string {
	if details == nil {
		return scopes
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == "lists:read" || s == "lists:write" })
}
