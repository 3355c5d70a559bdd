package password

import (
	_ "embed"
	"math"
	"strings"
)

// words are what passwords are most often made of, the most frequent first.
//
//go:embed words.txt
var words string

// rows are the keys that lie side by side, forwards.
var rows = [...]string{"qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "1234567890"} //nolint:gochecknoglobals // a constant

// leet undoes the spellings that every guessing program tries.
var leet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i") //nolint:gochecknoglobals // a constant

const (
	freeCharacter = 1.0 // of a character that belongs to no pattern, as zxcvbn has it
	patternCost   = 1.5 // of a run, a row of keys or a year: where it starts and how long it is
	shortest      = 3   // of a pattern, in characters
)

// guesser knows how many guesses the pieces of a password take, as powers of
// ten.
type guesser struct {
	known   map[string]float64
	longest int
}

func newGuesser(about []string) *guesser {
	g := &guesser{known: make(map[string]float64)}
	rank := 1.0
	for word := range strings.FieldsSeq(words) {
		g.learn(word, math.Log10(rank+1))
		rank++
	}
	for _, a := range about {
		for _, part := range strings.FieldsFunc(fold(a), func(c rune) bool { return strings.ContainsRune("@ .-_+", c) }) {
			g.learn(part, 0)
		}
	}
	return g
}

func (g *guesser) learn(word string, cost float64) {
	g.known[word] = cost
	g.longest = max(g.longest, len([]rune(word)))
}

// cheapest is the power of ten of the guesses that s takes from somebody who
// tries its pieces in the best order: for each end, the cheapest last piece
// behind the cheapest beginning.
func (g *guesser) cheapest(s []rune) float64 {
	best := make([]float64, len(s)+1)
	for end := 1; end <= len(s); end++ {
		best[end] = best[end-1] + freeCharacter
		for start := end - shortest; start >= 0; start-- {
			if cost, ok := g.piece(s[start:end]); ok {
				best[end] = min(best[end], best[start]+cost)
			}
			if again, ok := repeated(s[:start], s[start:end]); ok {
				// What stood there before costs only the choice to say it again.
				best[end] = min(best[end], best[start]+math.Log10(again+1))
			}
		}
	}
	return best[len(s)]
}

// piece is the cost of a word or pattern, if p is one.
func (g *guesser) piece(p []rune) (float64, bool) {
	text := string(p)
	if len(p) <= g.longest {
		if cost, ok := g.known[text]; ok {
			return cost, true
		}
		if cost, ok := g.known[leet.Replace(text)]; ok {
			return cost + math.Log10(2), true
		}
	}
	if isRun(p) || isRow(text) || len(p) == 4 && (strings.HasPrefix(text, "19") || strings.HasPrefix(text, "20")) {
		return patternCost, true
	}
	return 0, false
}

// isRun recognises "aaaa", "abcd" and "9876".
func isRun(p []rune) bool {
	step := p[1] - p[0]
	if step < -1 || step > 1 {
		return false
	}
	for i := 2; i < len(p); i++ {
		if p[i]-p[i-1] != step {
			return false
		}
	}
	return true
}

func isRow(text string) bool {
	for _, row := range rows {
		if strings.Contains(row, text) {
			return true
		}
	}
	return false
}

// repeated reports whether p is what the beginning ends with, and how many
// pieces there were to choose from.
func repeated(beginning, p []rune) (float64, bool) {
	if len(p) > len(beginning) || string(beginning[len(beginning)-len(p):]) != string(p) {
		return 0, false
	}
	return float64(len(beginning)), true
}
