package diet

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"larder/internal/shopping"
)

// allergens are those that food in the European Union must be labelled with
// (Regulation 1169/2011, Annex II).
func allergens() []string {
	return []string{
		"celery", "eggs", "fish", "gluten", "lupin", "milk", "molluscs", "mustard", "nuts", "peanuts", "sesame", "shellfish", "soy", "sulphites",
	}
}

// stems are the words by which an allergen is found, in English and German. One
// of at least four letters also stands at either end of a longer word.
func stems(allergen string) []string {
	switch allergen {
	case "celery":
		return []string{"celery", "celeriac", "sellerie"}
	case "eggs":
		return []string{"egg", "eggs", "ei", "eier", "mayonnaise", "mayo", "omelette", "meringue"}
	case "fish":
		return []string{"fish", "salmon", "tuna", "cod", "herring", "anchovy", "anchovies", "sardine", "trout", "fisch", "lachs", "forelle"}
	case "gluten":
		return []string{
			"bread", "flour", "pasta", "spaghetti", "noodle", "wheat", "rye", "barley", "spelt", "bulgur", "couscous", "seitan", "cracker", "biscuit",
			"cake", "brot", "mehl", "weizen", "roggen", "nudel", "nudeln", "kuchen",
		}
	case "lupin":
		return []string{"lupin", "lupine"}
	case "milk":
		return []string{
			"milk", "cheese", "butter", "cream", "yoghurt", "yogurt", "curd", "whey", "ghee", "milch", "käse", "sahne", "joghurt", "quark", "mozzarella",
		}
	case "molluscs":
		return []string{"mussel", "oyster", "squid", "octopus", "clam", "clams", "snail", "scallop", "muschel", "muscheln", "austern", "calamari"}
	case "mustard":
		return []string{"mustard", "senf"}
	case "nuts":
		return []string{
			"nut", "nuts", "hazelnut", "walnut", "almond", "cashew", "pecan", "pistachio", "macadamia", "praline", "marzipan", "nougat", "nuss", "nüsse",
			"mandel", "mandeln",
		}
	case "peanuts":
		return []string{"peanut", "erdnuss", "erdnüsse"}
	case "sesame":
		return []string{"sesame", "sesam", "tahini"}
	case "shellfish":
		return []string{"shrimp", "prawn", "crab", "lobster", "crayfish", "scampi", "shellfish", "garnele", "garnelen", "krabbe", "krabben"}
	case "soy":
		return []string{"soy", "soya", "soja", "tofu", "tempeh", "edamame", "miso"}
	case "sulphites":
		return []string{"wine", "wein", "sulphite", "sulfite"}
	}
	return nil
}

// harmless are phrases whose words would say something else. What is left out
// here warns once too often, which is the better mistake.
func harmless(allergen string) []string {
	switch allergen {
	case "milk":
		return []string{
			"oat milk", "soy milk", "almond milk", "rice milk", "coconut milk", "hafermilch", "mandelmilch", "sojamilch", "kokosmilch",
			"peanut butter", "cocoa butter", "cream of tartar",
		}
	case "gluten":
		return []string{"rice flour", "corn flour", "almond flour", "rice noodles", "rice cake", "rice cakes"}
	}
	return nil
}

const wholeBelow = 4 // letters: a shorter stem is found as a whole word only

// contains reports whether the text speaks of the allergen.
func contains(text, allergen string) bool {
	key := " " + strings.Join(words(text), " ") + " "
	for _, phrase := range harmless(allergen) {
		key = strings.ReplaceAll(key, " "+phrase+" ", " ")
	}
	return slices.ContainsFunc(strings.Fields(key), func(word string) bool {
		return slices.ContainsFunc(stems(allergen), func(stem string) bool {
			return word == stem || utf8.RuneCountInString(stem) >= wholeBelow && (strings.HasPrefix(word, stem) || strings.HasSuffix(word, stem))
		})
	})
}

// mentions reports whether the phrase stands in the text, word by word.
func mentions(text, phrase string) bool {
	return strings.Contains(" "+strings.Join(words(text), " ")+" ", " "+strings.Join(words(phrase), " ")+" ")
}

func words(text string) []string {
	return strings.FieldsFunc(shopping.Key(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
