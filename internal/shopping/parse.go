package shopping

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parse reads what somebody wrote into a quantity, a unit and a name:
//
//	2 l milk · 1,5 kg flour · 6x eggs · 500g butter · ½ lemon · 1 1/2 cups of rice · Milk 2 l · Eggs x6
//	a bag of rice · eine Packung Nudeln · 2 kilos de tomates · une bouteille d'huile
//
// What it does not understand belongs to the name: 7up, 100% juice.
func Parse(text string) Thing {
	words := strings.Fields(text)
	whole := Thing{Name: strings.Join(words, " ")}
	if len(words) == 0 {
		return whole
	}
	if t, ok := leading(words); ok {
		return t
	}
	if t, ok := trailing(words); ok {
		return t
	}
	return whole
}

// leading reads "2 l milk".
func leading(words []string) (Thing, bool) {
	quantity, rest, used, ok := amount(words)
	if !ok {
		return oneOf(words)
	}
	words = words[used:]
	if rest != "" {
		unit, ok := unitOf(rest)
		if !ok { // 7up
			return Thing{}, false
		}
		words, _ = withoutOf(unit, words)
		return thing(quantity, unit, words)
	}
	unit, words, _ := unitAndName(words)
	return thing(quantity, unit, words)
}

// oneOf reads "a bag of rice": an article, a unit and, but in German, what joins
// it to the name. A can opener is none.
func oneOf(words []string) (Thing, bool) {
	if len(words) < 3 {
		return Thing{}, false
	}
	german := false
	switch strings.ToLower(words[0]) {
	case "a", "an", "un", "une":
	case "ein", "eine", "einen":
		german = true
	default:
		return Thing{}, false
	}
	unit, name, joined := unitAndName(words[1:])
	if unit == "" || !joined && !german && unit != "dozen" {
		return Thing{}, false
	}
	return thing(1, unit, name)
}

// unitAndName parts "kg of flour". Without a unit all of it is the name.
func unitAndName(words []string) (unit string, name []string, joined bool) {
	if len(words) < 2 {
		return "", words, false
	}
	unit, ok := unitOf(words[0])
	if name, joined = withoutOf(unit, words[1:]); ok {
		return unit, name, joined
	}
	unit, ok = frenchUnitOf(words[0])
	if name, joined = withoutOf(unit, words[1:]); ok && joined {
		return unit, name, true
	}
	return "", words, false
}

// withoutOf leaves out what joins a unit to a name: cups of rice, kilo de riz,
// litre d'huile.
func withoutOf(unit string, words []string) (name []string, joined bool) {
	if unit == "" || len(words) == 0 {
		return words, false
	}
	first := strings.ToLower(words[0])
	switch {
	case len(words) > 1 && (first == "of" || first == "de"):
		return words[1:], true
	case len(first) > len("d'") && strings.HasPrefix(first, "d'"):
		return append([]string{words[0][len("d'"):]}, words[1:]...), true
	case len(first) > len("d’") && strings.HasPrefix(first, "d’"):
		return append([]string{words[0][len("d’"):]}, words[1:]...), true
	}
	return words, false
}

// trailing reads "Milk 2 l" and "Eggs x6". A bare number at the end stays part
// of the name: Spaghetti No 5.
func trailing(words []string) (Thing, bool) {
	last := words[len(words)-1]
	if number, isTimes := strings.CutPrefix(strings.ToLower(last), "x"); isTimes {
		if quantity, rest, ok := number1(number); ok && rest == "" {
			return thing(quantity, "", words[:len(words)-1])
		}
	}
	if quantity, rest, ok := number1(last); ok && rest != "" {
		if unit, isUnit := unitOf(rest); isUnit {
			return thing(quantity, unit, words[:len(words)-1])
		}
		return Thing{}, false
	}
	if len(words) < 3 {
		return Thing{}, false
	}
	unit, isUnit := unitOf(last)
	quantity, rest, ok := number1(words[len(words)-2])
	if !isUnit || !ok || rest != "" {
		return Thing{}, false
	}
	return thing(quantity, unit, words[:len(words)-2])
}

func thing(quantity float64, unit string, words []string) (Thing, bool) {
	quantity = math.Round(quantity*1000) / 1000
	if len(words) == 0 || !ValidQuantity(quantity) {
		return Thing{}, false
	}
	return Thing{Name: strings.Join(words, " "), Quantity: &quantity, Unit: unit}, true
}

// amount reads a number at the front, which may be two words long: 1 1/2.
func amount(words []string) (quantity float64, rest string, used int, ok bool) {
	quantity, rest, ok = number1(words[0])
	if !ok {
		return 0, "", 0, false
	}
	if rest == "" && len(words) > 1 && quantity == math.Trunc(quantity) && (strings.Contains(words[1], "/") || vulgar(words[1]) > 0) {
		if part, after, isPart := number1(words[1]); isPart && after == "" && part < 1 {
			return quantity + part, "", 2, true
		}
	}
	return quantity, rest, 1, true
}

// number1 reads the number at the front of a word and returns what is behind
// it: 500g, 1,5, 1/2, 1½.
func number1(word string) (quantity float64, rest string, ok bool) {
	end := strings.IndexFunc(word, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(word)
	}
	if end > maxDigits {
		return 0, "", false
	}
	whole, rest := word[:end], word[end:]
	if whole != "" {
		quantity, _ = strconv.ParseFloat(whole, 64) // digits only
	}
	if part := vulgar(rest); part > 0 {
		_, size := utf8.DecodeRuneInString(rest)
		return quantity + part, rest[size:], true
	}
	if whole == "" || rest == "" {
		return quantity, rest, whole != ""
	}
	tail := strings.IndexFunc(rest[1:], func(r rune) bool { return r < '0' || r > '9' })
	if tail < 0 {
		tail = len(rest) - 1
	}
	digits, after := rest[1:1+tail], rest[1+tail:]
	switch {
	case tail == 0 || tail > maxDigits:
		return quantity, rest, true
	case rest[0] == '.' || rest[0] == ',':
		decimals, _ := strconv.ParseFloat("0."+digits, 64) // digits only
		return quantity + decimals, after, true
	case rest[0] == '/':
		divisor, _ := strconv.ParseFloat(digits, 64) // digits only
		if divisor == 0 {
			return 0, "", false
		}
		return quantity / divisor, after, true
	}
	return quantity, rest, true
}

const maxDigits = 9

func vulgar(s string) float64 {
	r, _ := utf8.DecodeRuneInString(s)
	switch r {
	case '½':
		return 0.5
	case '¼':
		return 0.25
	case '¾':
		return 0.75
	case '⅓':
		return 1.0 / 3
	case '⅔':
		return 2.0 / 3
	}
	return 0
}

// unitOf returns the unit that a word stands for, as it is to be written; ""
// for a plain count.
func unitOf(word string) (string, bool) {
	key := strings.TrimRightFunc(strings.ToLower(word), func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
	switch key {
	case "x", "×", "pc", "pcs", "piece", "pieces", "stk", "stück":
		return "", true
	case "g", "kg", "ml", "cl", "dl", "l", "oz", "lb", "cup", "tbsp", "tsp", "pack", "can", "bottle", "jar", "bunch", "bag", "box", "dozen", "el", "tl":
		return key, true
	case "gr", "gram", "grams", "gramm", "gramme", "grammes":
		return "g", true
	case "kilo", "kilos", "kilogram", "kilograms", "kilogramm", "kilogramme", "kilogrammes":
		return "kg", true
	case "liter", "liters", "litre", "litres", "ltr":
		return "l", true
	case "lbs", "pound", "pounds":
		return "lb", true
	case "tasse", "tassen", "tasses":
		return "cup", true
	case "cups", "packs", "cans", "bottles", "jars", "bags":
		return strings.TrimSuffix(key, "s"), true
	case "boxes":
		return "box", true
	case "packet", "packets", "pkg", "packung", "packungen", "päckchen":
		return "pack", true
	case "tin", "tins", "dose", "dosen":
		return "can", true
	case "flasche", "flaschen":
		return "bottle", true
	case "glas", "gläser":
		return "jar", true
	case "bund", "bunches":
		return "bunch", true
	case "beutel", "tüte", "tüten":
		return "bag", true
	case "dutzend", "douzaine", "douzaines":
		return "dozen", true
	case "pfund":
		return "Pfund", true
	}
	return "", false
}

// frenchUnitOf is unitOf of words that mean other things without "de" behind
// them, as in English: pot noodles.
func frenchUnitOf(word string) (string, bool) {
	switch strings.TrimSuffix(strings.ToLower(word), "s") {
	case "paquet":
		return "pack", true
	case "boîte", "boite":
		return "can", true
	case "bouteille":
		return "bottle", true
	case "pot", "bocal":
		return "jar", true
	case "botte":
		return "bunch", true
	case "sachet":
		return "bag", true
	}
	return "", false
}
