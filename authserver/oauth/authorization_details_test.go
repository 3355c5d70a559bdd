package oauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"larder/authserver/oidc"
	"larder/internal/id"
)

const testFamily, testList = "019a0000-0000-7000-8000-000000000001", "019a0000-0000-7000-8000-000000000002"

func detailsOf(actions, more string) string {
	return `[{"type":"grocery_list","family_id":"` + testFamily + `","list_ids":["` + testList + `"],"actions":` + actions + more + `}]`
}

// addPlanner registers spa for authorization details.
func (h *harness) addPlanner() {
	c := *h.addSPA()
	c.Metadata.AuthorizationDetailsTypes = []string{oidc.ListDetailType}
	c.Metadata.FirstParty = false
	h.clients.set(&c)
}

// W4: authorization details that are not well formed, not known or not the client's are refused.
func TestAuthorizationDetailsAreValidated(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addPlanner()
	h.addWeb() // not registered for the type
	past := h.clock.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	refusedAs := func(client, details string) string {
		request := spaRequest("authorization_details", details)
		target := spaRedirect
		if client == "web" {
			request, target = webRequest("authorization_details", details), webRedirect
		}
		return callback(t, h.authorize(h.browser(), request), target).Get("error")
	}
	for name, details := range map[string]string{
		"no JSON":         `{`,
		"no array":        `{"type":"grocery_list"}`,
		"empty":           `[]`,
		"null":            `null`,
		"trailing":        detailsOf(`["view"]`, "") + "x",
		"unknown type":    `[{"type":"payment_initiation"}]`,
		"unknown member":  detailsOf(`["view"]`, `,"everything":true`),
		"unknown action":  detailsOf(`["own"]`, ""),
		"no actions":      detailsOf(`[]`, ""),
		"no family":       `[{"type":"grocery_list","actions":["view"]}]`,
		"no list":         `[{"type":"grocery_list","family_id":"` + testFamily + `","list_ids":[],"actions":["view"]}]`,
		"a list of none":  `[{"type":"grocery_list","family_id":"` + testFamily + `","list_ids":["00000000-0000-0000-0000-000000000000"],"actions":["view"]}]`,
		"over":            detailsOf(`["view"]`, `,"until":"`+past+`"`),
		"foreign place":   detailsOf(`["view"]`, `,"locations":["https://evil.test"]`),
		"too many":        "[" + strings.Repeat(strings.TrimSuffix(detailsOf(`["view"]`, "")[1:], "]")+",", 5) + detailsOf(`["view"]`, "")[1:],
		"larger than 8 K": detailsOf(`["view"]`, strings.Repeat(" ", 9<<10)),
	} {
		if got := refusedAs("spa", details); got != invalidAuthorizationDetails {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := refusedAs("web", detailsOf(`["view"]`, "")); got != invalidAuthorizationDetails {
		t.Errorf("a client that is not registered for the type: %q", got)
	}
	refused(t, h.post("/par", spaRequest("authorization_details", `[]`)), http.StatusBadRequest, invalidAuthorizationDetails)
}

// W4: what was agreed to is in the answer, the token, the introspection and every refresh; each may ask for less, none for more.
func TestAuthorizationDetailsAreCarriedAndNarrowed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addPlanner()
	h.addResourceServer()
	browser, user := h.browser(), h.addUser("Ada")
	login := h.signIn(browser, user.ID)
	until := h.clock.Now().Add(time.Hour).UTC().Truncate(time.Second)
	end := fmt.Sprintf(`,"until":%q`, until.Format(time.RFC3339))
	request := spaRequest("authorization_details", detailsOf(`["check","view"]`, end))

	// A consent to everything that the scopes say is none to details: each request is asked for.
	if _, err := h.consents.Covered(t.Context(), user.ID, "spa", oidc.SplitScope(request.Get("scope")), []string{testAPI}); err != nil {
		t.Fatal(err)
	}
	flowID := flowOf(t, h.authorize(browser, request), "/consent")
	h.flows.decide(flowID, login.SID, false)
	q := callback(t, h.get(browser, "/authorize/continue?flow="+flowID), spaRedirect)
	first := h.spaExchange(q.Get("code"))

	want := []oidc.AuthorizationDetail{{
		Type: oidc.ListDetailType, FamilyID: parsed(t, testFamily), ListIDs: []id.ID{parsed(t, testList)}, Actions: []string{"view", "check"}, Until: &until,
	}}
	same := func(where string, got any, want []oidc.AuthorizationDetail) {
		t.Helper()
		var read []oidc.AuthorizationDetail
		raw, err := json.Marshal(got)
		if err == nil {
			err = json.Unmarshal(raw, &read)
		}
		if a, b := fmt.Sprint(string(raw)), mustJSON(t, want); err != nil || mustJSON(t, read) != b {
			t.Errorf("%s: %s, %v; want %s", where, a, err, b)
		}
	}
	check := func(a answer, want []oidc.AuthorizationDetail) tokenResponse {
		t.Helper()
		tokens := h.tokens(a)
		same("the answer", a.json(t)[detailsParameter], want)
		_, claims := unpack(t, tokens.AccessToken)
		same("the token", claims[detailsParameter], want)
		same("introspection", h.introspect(tokens.AccessToken, "api", apiSecret).json(t)[detailsParameter], want)
		return tokens
	}
	tokens := check(first, want)

	less := []oidc.AuthorizationDetail{want[0]}
	less[0].Actions = []string{"view"}
	for _, more := range []string{
		detailsOf(`["view","edit"]`, ""), detailsOf(`["manage"]`, ""), strings.Replace(detailsOf(`["view"]`, ""), testList, testFamily, 1),
		strings.Replace(detailsOf(`["view"]`, ""), `"list_ids":["`+testList+`"],`, "", 1),
		detailsOf(`["view"]`, fmt.Sprintf(`,"until":%q`, until.Add(time.Second).Format(time.RFC3339))),
	} {
		refused(t, h.spaRefresh(tokens.RefreshToken, detailsParameter, more), http.StatusBadRequest, invalidAuthorizationDetails)
	}
	// No refusal spent the token, and a narrowed token leaves the grant as it is.
	tokens = check(h.spaRefresh(tokens.RefreshToken, detailsParameter, detailsOf(`["view"]`, "")), less)
	tokens = check(h.spaRefresh(tokens.RefreshToken), want)

	h.clock.Advance(time.Hour)
	refused(t, h.spaRefresh(tokens.RefreshToken), http.StatusBadRequest, "invalid_grant")
}

func parsed(t *testing.T, s string) id.ID {
	t.Helper()
	v, err := id.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestDetailsLieWithinOthers(t *testing.T) {
	t.Parallel()
	family, a, b := id.New(), id.New(), id.New()
	detail := func(lists []id.ID, actions ...string) oidc.AuthorizationDetail {
		return oidc.AuthorizationDetail{Type: oidc.ListDetailType, FamilyID: family, ListIDs: lists, Actions: actions}
	}
	every, one := detail(nil, "check"), detail([]id.ID{a}, "edit")
	for _, test := range []struct {
		asked   oidc.AuthorizationDetail
		granted []oidc.AuthorizationDetail
		want    bool
	}{
		{detail([]id.ID{a}, "view"), []oidc.AuthorizationDetail{every}, true},
		{detail([]id.ID{a, b}, "check"), []oidc.AuthorizationDetail{one, every}, true},
		{detail([]id.ID{a}, "edit"), []oidc.AuthorizationDetail{every, one}, true},
		{detail([]id.ID{a, b}, "edit"), []oidc.AuthorizationDetail{every, one}, false},
		{detail(nil, "view"), []oidc.AuthorizationDetail{one}, false},
		{detail(nil, "add", "edit", "view"), []oidc.AuthorizationDetail{detail(nil, "manage")}, true},
		{detail(nil, "view"), nil, false},
	} {
		if _, got := test.asked.Within(test.granted); got != test.want {
			t.Errorf("%v within %v: %t", test.asked, test.granted, got)
		}
	}
}
