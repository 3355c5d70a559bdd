package account

import (
	"context"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/language"

	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
)

const (
	maxClaim   = 200  // characters of a claim or of a part of an address
	maxWebPage = 2048 // bytes of an address on the web
)

// AddressParts are the members of the address claim that people fill in (OpenID
// Connect Core §5.1.1); formatted is made of them.
func AddressParts() []string {
	return []string{"street_address", "postal_code", "locality", "region", "country"}
}

// ClaimNames are the standard claims of OpenID Connect Core §5.1 that an
// account holds beside name and email.
func ClaimNames() []string {
	return []string{
		"given_name", "middle_name", "family_name", "nickname", "preferred_username", "gender", "birthdate", "zoneinfo", "locale",
		"website", "profile", "picture", "phone_number", "phone_number_verified", "address",
	}
}

// SetClaims changes the name, unless it is empty, and standard claims by their
// names: a string, for address a map of strings with the members that are to
// change, for phone_number_verified a bool. An empty string or nil takes a claim
// away. Whoever acts vouches for phone_number_verified, so it is not for people
// to set of themselves; another number is unverified until somebody says so.
// Everything that is wrong is one fault.Invalid.
func (a *Accounts) SetClaims(ctx context.Context, by audit.Actor, user id.ID, name string, claims map[string]any) error {
	var faults []fault.Field
	if name != "" {
		clean, err := cleanName(name)
		if err != nil {
			return err
		}
		name = clean
	}
	changes, address := map[string]any{}, map[string]string(nil)
	for _, claim := range slices.Sorted(maps.Keys(claims)) {
		value, problem := cleanClaim(claim, claims[claim])
		if problem != "" {
			faults = append(faults, fault.Field{Pointer: "/" + claim, Detail: problem})
			continue
		}
		if parts, ok := value.(map[string]string); ok {
			address = parts
			continue
		}
		changes[claim] = value
	}
	if len(faults) > 0 {
		return fault.New(fault.Invalid, sentence(faults)).WithFields(faults...)
	}
	now := a.Now()
	return postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		var profile map[string]any
		if err := tx.QueryRow(ctx, lockProfile, user).Scan(&profile); err != nil {
			return err
		}
		merge(profile, changes, address)
		return a.changeRow(ctx, tx, audit.Event{OccurredAt: now, Action: "user.profile_changed", Result: audit.Success, Actor: by, Target: user.String()},
			updateProfile, user, now, name, profile)
	})
}

// sentence puts the faults into words for a person.
func sentence(faults []fault.Field) string {
	parts := make([]string, 0, len(faults))
	for _, f := range faults {
		name := strings.ReplaceAll(strings.TrimPrefix(f.Pointer, "/"), "_", " ")
		parts = append(parts, strings.ToUpper(name[:1])+name[1:]+" "+f.Detail+".")
	}
	return strings.Join(parts, " ")
}

// merge puts changes into a profile.
func merge(profile, changes map[string]any, address map[string]string) {
	if number, ok := changes["phone_number"]; ok && number != profile["phone_number"] {
		delete(profile, "phone_number_verified")
	}
	for claim, value := range changes {
		if value == "" || value == nil {
			delete(profile, claim)
			continue
		}
		profile[claim] = value
	}
	if number, _ := profile["phone_number"].(string); number == "" {
		delete(profile, "phone_number_verified")
	} else if _, known := profile["phone_number_verified"]; !known {
		profile["phone_number_verified"] = false
	}
	if address == nil {
		return
	}
	whole, _ := profile["address"].(map[string]any)
	if whole == nil {
		whole = map[string]any{}
	}
	for part, value := range address {
		if whole[part] = value; value == "" {
			delete(whole, part)
		}
	}
	if delete(whole, "formatted"); len(whole) == 0 {
		delete(profile, "address")
		return
	}
	whole["formatted"] = formatted(whole)
	profile["address"] = whole
}

// formatted is the address as it would stand on an envelope.
func formatted(address map[string]any) string {
	text := func(part string) string { s, _ := address[part].(string); return s }
	town := strings.TrimSpace(text("postal_code") + " " + text("locality"))
	lines := []string{text("street_address"), town, text("region"), text("country")}
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return line == "" }), "\n")
}

// cleanClaim returns a claim as it is kept, or what is wrong with it.
func cleanClaim(name string, value any) (kept any, problem string) {
	if !slices.Contains(ClaimNames(), name) {
		return nil, "is not a claim that can be set"
	}
	if value == nil {
		if name == "address" {
			return emptyAddress(), ""
		}
		return nil, ""
	}
	switch name {
	case "address":
		return cleanAddress(value)
	case "phone_number_verified":
		if _, ok := value.(bool); !ok {
			return nil, "must be true or false"
		}
		return value, ""
	}
	text, ok := value.(string)
	if !ok {
		return nil, "must be a string"
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", ""
	}
	return cleanText(name, text)
}

func emptyAddress() map[string]string {
	empty := map[string]string{}
	for _, part := range AddressParts() {
		empty[part] = ""
	}
	return empty
}

func cleanAddress(value any) (kept any, problem string) {
	given, ok := value.(map[string]any)
	if !ok {
		return nil, "must be an object"
	}
	parts := map[string]string{}
	for part, value := range given {
		text, ok := value.(string)
		switch {
		case part == "formatted":
			continue
		case !slices.Contains(AddressParts(), part):
			return nil, "has no member " + part
		case !ok || !oneLine(strings.TrimSpace(text)):
			return nil, "must have at most 200 characters in each part, on one line"
		}
		parts[part] = strings.TrimSpace(text)
	}
	return parts, ""
}

// oneLine is what can stand in one line of a page.
func oneLine(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxClaim && !strings.ContainsFunc(s, unicode.IsControl)
}

func cleanText(name, text string) (kept, problem string) {
	switch name {
	case "website", "profile", "picture":
		u, err := url.Parse(text)
		if err != nil || len(text) > maxWebPage || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || !oneLine(text[:min(len(text), maxClaim)]) {
			return "", "must be an address on the web, such as https://example.com"
		}
		return u.String(), ""
	case "birthdate":
		return text, birthdate(text)
	case "zoneinfo":
		if !regexp.MustCompile(`^[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$`).MatchString(text) || len(text) > 64 {
			return "", "must be a time zone such as Europe/Vienna"
		}
		return text, ""
	case "locale":
		tag, err := language.Parse(text)
		if err != nil {
			return "", "must be a BCP 47 language tag"
		}
		return tag.String(), ""
	case "phone_number":
		return phoneNumber(text)
	}
	if !oneLine(text) {
		return "", "must have at most 200 characters, on one line"
	}
	return text, ""
}

// birthdate is a day, a year, or a day of no year (OpenID Connect Core §5.1).
func birthdate(text string) (problem string) {
	day := text
	if rest, ok := strings.CutPrefix(text, "0000-"); ok {
		day = "2000-" + rest // a leap year
	}
	for _, layout := range []string{time.DateOnly, "2006"} {
		if _, err := time.Parse(layout, day); err == nil {
			return ""
		}
	}
	return "must be a date such as 1990-12-31, or a year"
}

// phoneNumber writes a number as E.164 has it (OpenID Connect Core §5.1).
func phoneNumber(text string) (kept, problem string) {
	kept = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", "/", "", ".", "").Replace(text)
	if !regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`).MatchString(kept) {
		return "", "must be international, such as +43 1 234567"
	}
	return kept, ""
}
