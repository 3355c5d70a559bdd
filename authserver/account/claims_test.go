package account_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/authserver/account"
	"larder/internal/fault"
	"larder/internal/id"
)

// A person fills in every standard claim on the page, and takes some back.
func TestProfileOnTheAccountPage(t *testing.T) {
	p := setup(t)
	user := p.create(t, "ada@example.com")
	b := p.browser(t, "192.0.2.1")
	b.signIn("ada@example.com", goodPassword)
	whole := url.Values{
		"action": {"profile"}, "name": {"Ada Baker"}, "locale": {"de-at"}, "given_name": {"Ada"}, "middle_name": {"King"}, "family_name": {"Baker"},
		"nickname": {"Addie"}, "preferred_username": {"ada"}, "gender": {"female"}, "birthdate": {"0000-02-29"}, "zoneinfo": {"Europe/Vienna"},
		"phone_number": {"+43 (1) 234-5678"}, "website": {"https://ada.example"}, "profile": {"https://ada.example/me"}, "picture": {"https://ada.example/me.png"},
		"street_address": {"Marktplatz 1"}, "postal_code": {"1010"}, "locality": {"Wien"}, "country": {"Austria"}, "phone_number_verified": {"true"},
	}
	if a := b.do(http.MethodPost, "/account", whole); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	u, err := p.accounts.User(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"locale": "de-AT", "given_name": "Ada", "middle_name": "King", "family_name": "Baker", "nickname": "Addie", "preferred_username": "ada",
		"gender": "female", "birthdate": "0000-02-29", "zoneinfo": "Europe/Vienna", "phone_number": "+4312345678", "phone_number_verified": false,
		"website": "https://ada.example", "profile": "https://ada.example/me", "picture": "https://ada.example/me.png",
		"address": map[string]any{
			"street_address": "Marktplatz 1", "postal_code": "1010", "locality": "Wien", "country": "Austria", "formatted": "Marktplatz 1\n1010 Wien\nAustria",
		},
	}
	if diff := cmp.Diff(want, u.Profile); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	page := b.get("/account").body
	for _, value := range []string{`name="given_name"`, `value="King"`, `value="Marktplatz 1"`, `value="0000-02-29"`} {
		if !strings.Contains(page, value) {
			t.Errorf("the page lacks %s", value)
		}
	}

	if a := b.do(http.MethodPost, "/account", url.Values{"action": {"profile"}, "name": {"Ada B."}, "nickname": {""}, "street_address": {" "}, "phone_number": {""}}); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if u, err = p.accounts.User(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	delete(want, "nickname")
	delete(want, "phone_number")
	delete(want, "phone_number_verified")
	want["address"] = map[string]any{"postal_code": "1010", "locality": "Wien", "country": "Austria", "formatted": "1010 Wien\nAustria"}
	if diff := cmp.Diff(want, u.Profile); diff != "" || u.Name != "Ada B." {
		t.Errorf("%s (-want +got):\n%s", u.Name, diff)
	}

	a := b.do(http.MethodPost, "/account", url.Values{"action": {"profile"}, "name": {"Ada"}, "website": {"javascript:alert(1)"}, "birthdate": {"yesterday"}})
	if a.status != http.StatusUnprocessableEntity && a.status != http.StatusBadRequest {
		t.Errorf("%d", a.status)
	}
	for _, words := range []string{`role="alert"`, `<html lang="de">`, "Website muss eine Adresse im Web sein", "Das Geburtsdatum muss ein Datum"} {
		if !strings.Contains(a.body, words) {
			t.Errorf("the page does not say %q: %s", words, plain(a.body))
		}
	}
}

func TestSetClaims(t *testing.T) {
	p := setup(t)
	user := p.create(t, "ada@example.com")
	set := func(claims map[string]any) error {
		return p.accounts.SetClaims(t.Context(), operator(), user, "", claims)
	}
	for name, claims := range map[string]map[string]any{
		"unknown":               {"email": "eve@example.com"},
		"a number":              {"nickname": 7},
		"two lines":             {"nickname": "a\nb"},
		"too long":              {"nickname": strings.Repeat("x", 201)},
		"no page":               {"picture": "data:image/png;base64,x"},
		"a password in a page":  {"profile": "https://a:b@example.com/"},
		"no zone":               {"zoneinfo": "../etc/passwd"},
		"no language":           {"locale": "klingon!"},
		"a national number":     {"phone_number": "01 234567"},
		"no truth":              {"phone_number_verified": "true"},
		"no day":                {"birthdate": "1990-02-30"},
		"an address in a line":  {"address": "Marktplatz 1"},
		"an address with more":  {"address": map[string]any{"planet": "Mars"}},
		"an address of numbers": {"address": map[string]any{"locality": 7}},
		"one good and one bad":  {"nickname": "Addie", "locale": "!"},
	} {
		if err := set(claims); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.accounts.SetClaims(t.Context(), operator(), id.New(), "", map[string]any{"nickname": "x"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody: %v", err)
	}
	if err := set(map[string]any{"phone_number": "+431234567", "phone_number_verified": true}); err != nil {
		t.Fatal(err)
	}
	verified := func() any {
		u, err := p.accounts.User(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		return u.Profile["phone_number_verified"]
	}
	if verified() != true {
		t.Error("an operator's word does not count")
	}
	if err := set(map[string]any{"phone_number": "+43 1 234567", "nickname": "Addie"}); err != nil || verified() != true {
		t.Errorf("the same number in another spelling: %v, %v", verified(), err)
	}
	if err := set(map[string]any{"phone_number": "+437654321"}); err != nil || verified() != false {
		t.Errorf("another number: %v, %v", verified(), err)
	}
	if err := set(map[string]any{"phone_number": nil, "address": nil, "phone_number_verified": true}); err != nil || verified() != nil {
		t.Errorf("no number: %v, %v", verified(), err)
	}
	u, err := p.accounts.User(t.Context(), user)
	if diff := cmp.Diff(map[string]any{"nickname": "Addie"}, u.Profile); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if len(account.ClaimNames()) != 15 {
		t.Error("a claim came or went: does the page have a field for it?")
	}
}
