package language

import (
	"bufio"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// Brand is the name of the service in every text of ours; operators choose
// another.
const Brand = "Larder"

// Language is one that the service speaks.
type Language struct {
	Tag  string // BCP 47, such as "de"
	Name string // in itself, such as "Deutsch"

	brand    string
	exact    map[string]string
	patterns []pattern
	dates    dates
}

// Catalogue is every language, English first. Make it with Load.
type Catalogue struct {
	all     []*Language
	matcher language.Matcher
}

// names lists the languages, English first.
func names() [][2]string {
	return [][2]string{{"en", "English"}, {"de", "Deutsch"}, {"fr", "Français"}}
}

// Tags lists the languages' tags (BCP 47), English first.
func Tags() []string {
	var tags []string
	for _, n := range names() {
		tags = append(tags, n[0])
	}
	return tags
}

// Load reads the catalogues, a file TAG.txt for each language but English. brand
// is the name of the service.
func Load(files fs.FS, brand string) (*Catalogue, error) {
	c := &Catalogue{}
	english := make(map[string]string)
	for _, n := range names()[1:] {
		pairs, err := read(files, n[0]+".txt")
		if err != nil {
			return nil, err
		}
		for key := range pairs {
			english[key] = key
		}
		c.all = append(c.all, &Language{Tag: n[0], Name: n[1], brand: brand, exact: pairs, patterns: patterns(pairs), dates: datesOf(n[0])})
	}
	en := &Language{Tag: "en", Name: "English", brand: brand, exact: english, patterns: patterns(english), dates: datesOf("en")}
	c.all = slices.Insert(c.all, 0, en)
	var tags []language.Tag
	for _, l := range c.all {
		tags = append(tags, language.Make(l.Tag))
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

// read reads pairs of lines; # begins a comment.
func read(files fs.FS, name string) (map[string]string, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	pairs := make(map[string]string)
	key, number := "", 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		number++
		text := strings.TrimSpace(line)
		switch indented := strings.HasPrefix(line, " "); {
		case text == "" || strings.HasPrefix(line, "#"):
		case !indented && key == "":
			if _, twice := pairs[text]; twice {
				return nil, fmt.Errorf("%s:%d: %q comes twice", name, number, text)
			}
			key = text
		case indented && key != "":
			pairs[key], key = text, ""
		default:
			return nil, fmt.Errorf("%s:%d: an English line and an indented one must take turns", name, number)
		}
	}
	if key != "" {
		return nil, fmt.Errorf("%s: %q has no translation", name, key)
	}
	return pairs, nil
}

// All lists the languages, English first.
func (c *Catalogue) All() []*Language { return c.all }

// English is the language that everything is written in.
func (c *Catalogue) English() *Language { return c.all[0] }

// Match returns the language that fits wishes best, each an Accept-Language
// header (RFC 9110 §12.5.4) or a tag, the first that can be met before the others. ok
// is false if none can; then it is English.
func (c *Catalogue) Match(wishes ...string) (l *Language, ok bool) {
	for _, wish := range wishes {
		tags, _, err := language.ParseAcceptLanguage(wish)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, sure := c.matcher.Match(tags...); sure != language.No {
			return c.all[i], true
		}
	}
	return c.English(), false
}

// Has reports whether the catalogue knows a text or a segment. English knows
// whatever another language does.
func (l *Language) Has(text string) bool {
	_, known := l.exact[text]
	return known
}

// Keys lists what the catalogue knows.
func (l *Language) Keys() []string {
	var keys []string
	for key := range l.exact {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Say says an English sentence of the code, or a date in one, in the language.
func (l *Language) Say(text string) string {
	if said, known := l.exact[text]; known {
		return l.named(said)
	}
	if at, err := time.Parse(written, text); err == nil {
		return l.Moment(at)
	}
	if first, rest, several := strings.Cut(text, ". "); several && l.Known(first+".") && l.Known(rest) {
		return l.Say(first+".") + " " + l.Say(rest)
	}
	for _, p := range l.patterns {
		parts, ok := p.match(text)
		if !ok || p.open() && strings.HasSuffix(text, ".") {
			continue
		}
		pairs := make([]string, 0, 2*len(parts))
		for i, part := range parts {
			pairs = append(pairs, "{"+strconv.Itoa(i+1)+"}", l.part(part))
		}
		return strings.NewReplacer(pairs...).Replace(l.named(p.say))
	}
	return text
}

// Known reports whether Say has words of its own for a text.
func (l *Language) Known(text string) bool {
	return l.Has(text) || slices.ContainsFunc(l.patterns, func(p pattern) bool { _, ok := p.match(text); return ok })
}

// part says what fills a sentence: words of ours, alone or in a list, a date, or
// what a person wrote, which stays as it is but for the quotation marks around it.
func (l *Language) part(text string) string {
	if l.Tag == "en" {
		return text
	}
	if said, known := l.exact[text]; known {
		return l.named(said)
	}
	if open, shut, ok := strings.Cut(l.exact["“{1}”"], "{1}"); ok && strings.HasPrefix(text, "“") && strings.HasSuffix(text, "”") {
		return strings.NewReplacer("“", open, "”", shut).Replace(text)
	}
	for _, layout := range []string{written, "Monday, 2 January 2006, 15:04 MST"} {
		if at, err := time.Parse(layout, text); err == nil {
			return l.Moment(at)
		}
	}
	if at, err := time.Parse("2 January 2006", text); err == nil {
		return l.Day(at)
	}
	if number, unit, ok := strings.Cut(text, " "); ok && l.Has("{1} "+unit) {
		if _, err := strconv.Atoi(number); err == nil {
			return strings.Replace(l.exact["{1} "+unit], "{1}", number, 1)
		}
	}
	first, last, list := cutLast(text, " and ")
	if !list {
		return text
	}
	parts := append(strings.Split(first, ", "), last)
	for i, p := range parts {
		said, known := l.exact[p]
		if !known {
			return text
		}
		parts[i] = said
	}
	end := len(parts) - 1
	return strings.Join(parts[:end], ", ") + " " + l.dates.and + " " + parts[end]
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// named puts the service's name into a text of ours.
func (l *Language) named(text string) string {
	if l.brand == Brand {
		return text
	}
	return strings.ReplaceAll(text, Brand, l.brand)
}
