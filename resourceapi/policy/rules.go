package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"larder/internal/fault"
)

// Rules are the ready-made rules of one family, as its admins switched them
// on. The policies that they feed are the same for all families (rules.cedar):
// what is on and concerns the caller reaches them as words in the context.
type Rules struct {
	// HomeNetworks are the networks that count as being at home.
	HomeNetworks []netip.Prefix `json:"home_networks"`
	// GuestsOnlyAtHome keeps guests out anywhere else.
	GuestsOnlyAtHome bool `json:"guests_only_at_home"`
	// Hours are when the people named in them may use the family; whoever is
	// named nowhere may always, and so may every admin.
	Hours []Hours `json:"hours"`
	// ReadOnly is when nobody changes lists, items, stores, pantry or recipes.
	ReadOnly *Window `json:"read_only"`
	// FreshSignIn and SecondFactor name actions that take a sign-in of the last
	// ten minutes, or one with a second factor.
	FreshSignIn  []Action `json:"fresh_sign_in"`
	SecondFactor []Action `json:"second_factor"`
	// SecondFactorFor names the roles whose people need a sign-in with a second
	// factor for whatever they do in the family.
	SecondFactorFor []Role `json:"second_factor_for"`
	// MembersInvite lets members invite others, too, though not as admins.
	MembersInvite bool `json:"members_invite"`
	// NewDevicesReadOnly and HighRiskReadOnly hold back changes from devices
	// that the identity provider met for the first time, and from sign-ins that
	// it found risky.
	NewDevicesReadOnly bool `json:"new_devices_read_only"`
	HighRiskReadOnly   bool `json:"high_risk_read_only"`
}

// Hours are windows for some people.
type Hours struct {
	Members []string `json:"members"` // subjects
	Window
}

// Window is a time of day on some weekdays, in the family's time zone. One that
// ends before it begins, ends on the next day.
type Window struct {
	Days  []Weekday `json:"days"` // on which it begins; none: every day
	From  Clock     `json:"from"`
	Until Clock     `json:"until"` // exclusive
}

// Clock is a time of day in minutes since midnight; its text is 07:30.
type Clock int

// EndOfDay is the text 24:00.
const EndOfDay Clock = 24 * 60

// MarshalText implements encoding.TextMarshaler.
func (c Clock) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%02d:%02d", c/60, c%60), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Clock) UnmarshalText(text []byte) error {
	if string(text) == "24:00" {
		*c = EndOfDay
		return nil
	}
	at, err := time.Parse("15:04", string(text))
	if err != nil || len(text) != len("15:04") {
		return fault.New(fault.Invalid, "must be a time of day such as 07:30")
	}
	*c = Clock(at.Hour()*60 + at.Minute())
	return nil
}

// Weekday is a day's English name in three letters.
type Weekday string

// Weekdays returns all of them, Sunday first as in package time.
func Weekdays() []Weekday { return []Weekday{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

func weekdayOf(t time.Time) Weekday { return Weekdays()[t.Weekday()] }

func clockOf(t time.Time) Clock { return Clock(t.Hour()*60 + t.Minute()) }

// holds reports whether local lies in the window.
func (w Window) holds(local time.Time) bool {
	at := clockOf(local)
	on := func(day Weekday) bool { return len(w.Days) == 0 || slices.Contains(w.Days, day) }
	if w.From < w.Until {
		return on(weekdayOf(local)) && w.From <= at && at < w.Until
	}
	return on(weekdayOf(local)) && at >= w.From || on(weekdayOf(local.AddDate(0, 0, -1))) && at < w.Until
}

// Rule is a ready-made rule that is on, concerns the caller and, if it is about
// a time, holds at this moment.
type Rule string

// The rules. What they forbid stands in rules.cedar.
const (
	GuestsOnlyAtHome   Rule = "guests_only_at_home"
	OutsideHours       Rule = "outside_hours"
	ReadOnlyNow        Rule = "read_only_now"
	FreshSignIn        Rule = "fresh_sign_in"
	SecondFactor       Rule = "second_factor"
	SecondFactorFor    Rule = "second_factor_for"
	MembersInvite      Rule = "members_invite"
	NewDevicesReadOnly Rule = "new_devices_read_only"
	HighRiskReadOnly   Rule = "high_risk_read_only"
)

func allRules() []Rule {
	return []Rule{GuestsOnlyAtHome, OutsideHours, ReadOnlyNow, FreshSignIn, SecondFactor, SecondFactorFor, MembersInvite, NewDevicesReadOnly, HighRiskReadOnly}
}

// Guardable returns the actions that FreshSignIn and SecondFactor may name.
func Guardable() []Action {
	return []Action{
		FamilyUpdate, FamilyDelete, MemberRemove, MemberChangeRole, InvitationCreate,
		ListDelete, ListShare, AppInstall, AppUninstall, WebhookManage,
	}
}

// For returns the rules that bear on the principal as he does this at the local
// time of the family. A nil r is a family without rules.
func (r *Rules) For(p Principal, action Action, local time.Time) []Rule {
	if r == nil {
		return nil
	}
	var on []Rule
	add := func(rule Rule, concerns bool) {
		if concerns {
			on = append(on, rule)
		}
	}
	add(GuestsOnlyAtHome, r.GuestsOnlyAtHome)
	add(OutsideHours, p.Kind == User && p.Role != Admin && r.outside(p.ID, local))
	add(ReadOnlyNow, r.ReadOnly != nil && r.ReadOnly.holds(local))
	add(FreshSignIn, slices.Contains(r.FreshSignIn, action))
	add(SecondFactor, slices.Contains(r.SecondFactor, action))
	add(SecondFactorFor, p.Kind == User && slices.Contains(r.SecondFactorFor, p.Role))
	add(MembersInvite, r.MembersInvite && action == InvitationCreate)
	add(NewDevicesReadOnly, r.NewDevicesReadOnly)
	add(HighRiskReadOnly, r.HighRiskReadOnly)
	return on
}

// outside reports whether the member has hours and this is none of them.
func (r *Rules) outside(member string, local time.Time) bool {
	named := false
	for _, h := range r.Hours {
		if slices.Contains(h.Members, member) {
			if h.holds(local) {
				return false
			}
			named = true
		}
	}
	return named
}

// Place is where the address is, as far as the family said: Home, Away, or
// Unknown.
func (r *Rules) Place(ip netip.Addr) string {
	if r == nil || len(r.HomeNetworks) == 0 || !ip.IsValid() || ip.IsUnspecified() {
		return Unknown
	}
	ip = ip.Unmap().WithZone("")
	if slices.ContainsFunc(r.HomeNetworks, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return Home
	}
	return Away
}
