package diet

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestItemsAreMatchedToAllergens(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Hazelnut spread":        "nuts",
		"Walnussbrot":            "gluten",
		"Nuts, mixed":            "nuts",
		"Nutmeg":                 "",
		"Coconut":                "",
		"Doughnut":               "",
		"Peanut butter":          "peanuts",
		"Erdnussbutter":          "milk peanuts", // warns once too often
		"Vollmilch":              "milk",
		"Oat milk":               "",
		"Hafermilch":             "",
		"Milk and oat milk":      "milk",
		"EGGS (6)":               "eggs",
		"Eggplant":               "",
		"Reis":                   "",
		"Rye bread with walnuts": "gluten nuts",
		"Tuna sandwich, no mayo": "eggs fish",
		"":                       "",
	} {
		var got []string
		for _, a := range allergens() {
			if contains(text, a) {
				got = append(got, a)
			}
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	if !mentions("Fresh Coriander!", "coriander") || mentions("Corianders", "coriander") || !mentions("a red pepper, b", "Red  pepper") {
		t.Error("a phrase is matched word by word")
	}
	for _, a := range allergens() {
		if len(stems(a)) == 0 || !slices.ContainsFunc(stems(a), func(s string) bool { return contains(s, a) }) {
			t.Errorf("%s cannot be found", a)
		}
	}
}
