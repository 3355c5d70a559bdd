package language

import (
	"cmp"
	"slices"
	"strings"
)

// pattern is a sentence with parts: what stands between them, and before the
// first and after the last.
type pattern struct {
	words []string
	say   string
}

// patterns are the sentences with parts among pairs; the one that says most
// comes first.
func patterns(pairs map[string]string) []pattern {
	var keys []string
	for key := range pairs {
		if strings.Contains(key, "{1}") {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	all := make([]pattern, 0, len(keys))
	for _, key := range keys {
		all = append(all, pattern{between(key), pairs[key]})
	}
	return all
}

// between cuts a sentence at its braces.
func between(sentence string) []string {
	var words []string
	from := 0
	for i := 0; i+2 < len(sentence); i++ {
		if sentence[i] == '{' && sentence[i+1] >= '0' && sentence[i+1] <= '9' && sentence[i+2] == '}' {
			words = append(words, sentence[from:i])
			from = i + 3
		}
	}
	return append(words, sentence[from:])
}

// open reports whether the sentence ends with a part.
func (p pattern) open() bool { return p.words[len(p.words)-1] == "" }

// match finds the parts of a text that says the sentence. Each is as short as it
// can be and none is empty.
func (p pattern) match(text string) (parts []string, ok bool) {
	rest, ok := strings.CutPrefix(text, p.words[0])
	if !ok {
		return nil, false
	}
	return fill(rest, p.words[1:])
}

// fill matches what begins with a part.
func fill(text string, words []string) (parts []string, ok bool) {
	next := words[0]
	if len(words) == 1 {
		part, ok := strings.CutSuffix(text, next)
		return []string{part}, ok && part != ""
	}
	for from := 1; from < len(text); from++ {
		i := strings.Index(text[from:], next)
		if i < 0 {
			break
		}
		from += i
		if parts, ok := fill(text[from+len(next):], words[1:]); ok {
			return append([]string{text[:from]}, parts...), true
		}
	}
	return nil, false
}
