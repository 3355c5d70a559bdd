package oidc

import (
	"fmt"
	"strings"

	"larder/internal/id"
)

// DetailNames tells what the ids in authorization details stand for, as the
// person who is asked knows them. What is missing is shown by its id.
type DetailNames map[id.ID]string

// DetailMeanings explains authorization details, in the order of the request.
func DetailMeanings(details []AuthorizationDetail, names DetailNames) []Meaning {
	shown := make([]Meaning, 0, len(details))
	for _, d := range details {
		shown = append(shown, d.meaning(names))
	}
	return shown
}

func (d AuthorizationDetail) meaning(names DetailNames) Meaning {
	var verbs []string
	for _, action := range d.Actions {
		verbs = append(verbs, map[string]string{
			"view": "see what is on it", "check": "check items off", "add": "add items", "edit": "change, move and remove items",
			"manage": "do all that with its items, and rename it",
		}[action])
	}
	if len(verbs) > 1 {
		last := len(verbs) - 1
		verbs = []string{strings.Join(verbs[:last], ", ") + " and " + verbs[last]}
	}
	family := names.of(d.FamilyID, "the family")
	m := Meaning{Title: "Every shared list of " + family}
	if len(d.ListIDs) > 0 {
		var lists []string
		for _, list := range d.ListIDs {
			lists = append(lists, names.of(list, "the list"))
		}
		m.Title = strings.Join(lists, ", ") + " of " + family
	}
	m.Title += d.untilWhen()
	m.Detail = "For each list: " + verbs[0] + ". Nothing else of the family."
	return m
}

func (d AuthorizationDetail) untilWhen() string {
	if d.Until == nil {
		return ", until you take it back"
	}
	return d.Until.UTC().Format(", until Monday, 2 January 2006, 15:04 UTC")
}

func (n DetailNames) of(thing id.ID, what string) string {
	if name := n[thing]; name != "" {
		return fmt.Sprintf("“%s”", name)
	}
	return what + " with the id " + thing.String()
}
