package shopping_test

import (
	"math"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"larder/internal/shopping"
)

func TestParseReadsWhatPeopleWrite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]shopping.Thing{
		"2 l milk":              {Name: "milk", Quantity: new(2.0), Unit: "l"},
		"1,5 kg flour":          {Name: "flour", Quantity: new(1.5), Unit: "kg"},
		"6x eggs":               {Name: "eggs", Quantity: new(6.0)},
		"6 x eggs":              {Name: "eggs", Quantity: new(6.0)},
		"3 lemons":              {Name: "lemons", Quantity: new(3.0)},
		"500g  butter":          {Name: "butter", Quantity: new(500.0), Unit: "g"},
		"½ lemon":               {Name: "lemon", Quantity: new(0.5)},
		"1½ l Milch":            {Name: "Milch", Quantity: new(1.5), Unit: "l"},
		"1 1/2 cups of rice":    {Name: "rice", Quantity: new(1.5), Unit: "cup"},
		"1/3 kg cherries":       {Name: "cherries", Quantity: new(0.333), Unit: "kg"},
		"2 Flaschen Wein":       {Name: "Wein", Quantity: new(2.0), Unit: "bottle"},
		"Milk 2 l":              {Name: "Milk", Quantity: new(2.0), Unit: "l"},
		"Milk 2l":               {Name: "Milk", Quantity: new(2.0), Unit: "l"},
		"Eggs x6":               {Name: "Eggs", Quantity: new(6.0)},
		"Spaghetti No 5":        {Name: "Spaghetti No 5"},
		"7up":                   {Name: "7up"},
		"100% juice":            {Name: "100% juice"},
		"2 l":                   {Name: "l", Quantity: new(2.0)},
		"0 sugar cola":          {Name: "0 sugar cola"},
		"1/0 nonsense":          {Name: "1/0 nonsense"},
		"99999999999999999 nut": {Name: "99999999999999999 nut"},
		"  bread ":              {Name: "bread"},
		"12":                    {Name: "12"},
		"":                      {},
		"a dozen eggs":          {Name: "eggs", Quantity: new(1.0), Unit: "dozen"},
		"a bag of rice":         {Name: "rice", Quantity: new(1.0), Unit: "bag"},
		"a can opener":          {Name: "a can opener"},
		"a bag":                 {Name: "a bag"},
		"3 pot noodles":         {Name: "pot noodles", Quantity: new(3.0)},
		"eine Packung Nudeln":   {Name: "Nudeln", Quantity: new(1.0), Unit: "pack"},
		"2 Päckchen Hefe":       {Name: "Hefe", Quantity: new(2.0), Unit: "pack"},
		"½ Pfund Butter":        {Name: "Butter", Quantity: new(0.5), Unit: "Pfund"},
		"ein Brot":              {Name: "ein Brot"},
		"2 litres de lait":      {Name: "lait", Quantity: new(2.0), Unit: "l"},
		"2l d'eau plate":        {Name: "eau plate", Quantity: new(2.0), Unit: "l"},
		"un kilo de tomates":    {Name: "tomates", Quantity: new(1.0), Unit: "kg"},
		"une douzaine d’œufs":   {Name: "œufs", Quantity: new(1.0), Unit: "dozen"},
		"3 boîtes de thon":      {Name: "thon", Quantity: new(3.0), Unit: "can"},
		"un pot de miel":        {Name: "miel", Quantity: new(1.0), Unit: "jar"},
		"1 kg de":               {Name: "de", Quantity: new(1.0), Unit: "kg"},
		"1 l d'":                {Name: "d'", Quantity: new(1.0), Unit: "l"},
	} {
		if diff := cmp.Diff(want, shopping.Parse(text)); diff != "" {
			t.Errorf("%q: want (-) got (+)\n%s", text, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"2 l milk", "1 1/2", "½", "x6", "1,", "1.000.000 kg x", "٣ خبز", "1/ 2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := shopping.Parse(text)
		if (got.Name == "") != (strings.TrimFunc(text, unicode.IsSpace) == "") {
			t.Errorf("%q has the name %q", text, got.Name)
		}
		if got.Quantity != nil && !shopping.ValidQuantity(*got.Quantity) {
			t.Errorf("%q has the quantity %v", text, *got.Quantity)
		}
		if len(got.Name) > len(text) {
			t.Errorf("%q became longer: %q", text, got.Name)
		}
	})
}

func drawThing(t *rapid.T, label string) shopping.Thing {
	thing := shopping.Thing{
		Name:    rapid.SampledFrom([]string{"Milk", "milk", " MILK", "Flour"}).Draw(t, label),
		Unit:    rapid.SampledFrom([]string{"", "g", "kg", "l", "ml", "can", "Can"}).Draw(t, label),
		Note:    rapid.SampledFrom([]string{"", "", "fresh", "cheap"}).Draw(t, label),
		Barcode: rapid.SampledFrom([]string{"", "", "4006381333931", "012345678905"}).Draw(t, label),
	}
	if rapid.Bool().Draw(t, label) {
		thing.Quantity = new(float64(rapid.Int64Range(1, 5_000_000).Draw(t, label)) / 1000)
	}
	return thing
}

// size is a thing's quantity in the smallest unit of what it measures.
func size(t shopping.Thing) float64 {
	if t.Quantity == nil {
		return 0
	}
	if t.Unit == "kg" || t.Unit == "l" {
		return *t.Quantity * 1000
	}
	return *t.Quantity
}

func TestMergeLosesNothingAndDoesNotCareWhoComesFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawThing(t, "a"), drawThing(t, "b")
		ab, ok := shopping.Merge(a, b)
		ba, back := shopping.Merge(b, a)
		if ok != back {
			t.Fatalf("%+v and %+v merge one way only", a, b)
		}
		if !ok {
			if diff := cmp.Diff(a, ab); diff != "" {
				t.Fatalf("not merged and changed: %s", diff)
			}
			return
		}
		for name, merged := range map[string]shopping.Thing{"ab": ab, "ba": ba} {
			if math.Abs(size(merged)-size(a)-size(b)) > 1e-6 {
				t.Fatalf("%s: %+v and %+v are %+v", name, a, b, merged)
			}
			if !strings.Contains(merged.Note, a.Note) || !strings.Contains(merged.Note, b.Note) {
				t.Fatalf("%s: a note of %q and %q is lost: %q", name, a.Note, b.Note, merged.Note)
			}
			if merged.Quantity != nil && !shopping.ValidQuantity(*merged.Quantity) {
				t.Fatalf("%s: %v is no quantity", name, *merged.Quantity)
			}
			if merged.Barcode == "" && a.Barcode+b.Barcode != "" {
				t.Fatalf("%s: the barcode is lost", name)
			}
		}
		if shopping.Key(a.Name) != shopping.Key(b.Name) {
			t.Fatalf("%q and %q are not the same", a.Name, b.Name)
		}
	})
}

func TestBarcodeHasItsCheckDigit(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"4006381333931": true, "4006381333932": false, "036000291452": true, "96385074": true, "00012345600012": true,
		"": false, "0": false, "400638133393x": false, "40063813339311111": false, "٤٠٠٦": false,
	} {
		if got := shopping.Barcode(code); got != want {
			t.Errorf("%q: got %v", code, got)
		}
	}
}
