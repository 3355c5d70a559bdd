package policy

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestRulesBearOnWhomTheyConcernWhenTheyHold(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	var rules Rules
	if err := json.Unmarshal([]byte(`{
		"home_networks": ["203.0.113.0/24", "2001:db8::/32"], "guests_only_at_home": true,
		"hours": [{"members": ["kim", "ann"], "days": ["mon", "tue"], "from": "07:00", "until": "20:00"},
		          {"members": ["kim"], "days": ["sat"], "from": "20:00", "until": "02:00"}],
		"read_only": {"days": [], "from": "23:00", "until": "05:30"},
		"fresh_sign_in": ["list.delete"], "second_factor": ["family.delete"],
		"second_factor_for": ["guest"], "members_invite": true}`), &rules); err != nil {
		t.Fatal(err)
	}
	always := []Rule{GuestsOnlyAtHome}
	for name, c := range map[string]struct {
		who    string
		role   Role
		kind   Kind
		action Action
		at     string // UTC; Berlin is an hour ahead
		want   []Rule
	}{
		"within":                       {"kim", Member, User, ItemAdd, "2026-11-23T18:59:00Z", nil},
		"the end is outside":           {"kim", Member, User, ItemAdd, "2026-11-23T19:00:00Z", []Rule{OutsideHours}},
		"the begin is within":          {"kim", Member, User, ItemAdd, "2026-11-23T06:00:00Z", nil},
		"another day":                  {"kim", Member, User, ItemAdd, "2026-11-25T12:00:00Z", []Rule{OutsideHours}},
		"a second window":              {"kim", Member, User, ListRead, "2026-11-28T19:30:00Z", nil},
		"which ends the day after":     {"kim", Member, User, ListRead, "2026-11-29T00:59:00Z", []Rule{ReadOnlyNow}},
		"and then no more":             {"kim", Member, User, ListRead, "2026-11-29T01:00:00Z", []Rule{OutsideHours, ReadOnlyNow}},
		"admins are free":              {"ann", Admin, User, ItemAdd, "2026-11-25T12:00:00Z", nil},
		"named nowhere":                {"bob", Member, User, ItemAdd, "2026-11-25T12:00:00Z", nil},
		"a machine of the same name":   {"kim", None, APIKey, ItemAdd, "2026-11-25T12:00:00Z", nil},
		"actions that are named":       {"bob", Member, User, ListDelete, "2026-11-25T12:00:00Z", []Rule{FreshSignIn}},
		"the night is everybody's":     {"bob", None, App, ListDelete, "2026-11-25T22:00:00Z", []Rule{ReadOnlyNow, FreshSignIn}},
		"a second factor to delete it": {"ann", Admin, User, FamilyDelete, "2026-11-25T12:00:00Z", []Rule{SecondFactor}},
		"a second factor of guests":    {"gus", Guest, User, ListRead, "2026-11-25T12:00:00Z", []Rule{SecondFactorFor}},
		"who may invite":               {"bob", Member, User, InvitationCreate, "2026-11-25T12:00:00Z", []Rule{MembersInvite}},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		got := rules.For(Principal{Kind: c.kind, ID: c.who, Role: c.role}, c.action, at.In(berlin))
		if want := append(slices.Clone(always), c.want...); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for ip, want := range map[string]string{"203.0.113.9": Home, "::ffff:203.0.113.9": Home, "2001:db8::1": Home, "198.51.100.1": Away, "::": Unknown} {
		if got := rules.Place(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s is %s, want %s", ip, got, want)
		}
	}
	for _, text := range []string{"7:00", "07:60", "24:01", "25:00", "", "0730"} {
		if err := new(Clock).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a time of day", text)
		}
	}
	var none *Rules
	if none.For(Principal{}, ItemAdd, time.Time{}) != nil || none.Place(netip.MustParseAddr("203.0.113.9")) != Unknown {
		t.Error("a family without rules has some")
	}
}
