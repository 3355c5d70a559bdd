package language

import (
	"html/template"
	"strings"
	"unicode"
)

// Segments lists the English in the source of a template: HTML, or text whose
// paragraphs are parted by empty lines.
func Segments(source string) []string {
	var found []string
	rewrite(source, func(segment string) string {
		if lettered(strings.ReplaceAll(segment, Brand, "")) {
			found = append(found, segment)
		}
		return segment
	})
	return found
}

// Template returns the source of a template in the language, with the name of the
// service.
func (l *Language) Template(source string) string {
	plain := !strings.Contains(source, "<")
	brand := l.brand
	if !plain {
		brand = template.HTMLEscapeString(brand)
	}
	return rewrite(source, func(segment string) string {
		said, known := l.exact[segment]
		if !known {
			said = segment
		}
		said = strings.ReplaceAll(said, Brand, brand)
		if plain && said != segment {
			return wrap(said)
		}
		return said
	})
}

// wrap breaks a paragraph into lines that any mail program shows whole. A blank
// that does not break, as French has before its marks, stays what it is.
func wrap(paragraph string) string {
	const width = 78
	var lines []string
	for word := range strings.FieldsFuncSeq(paragraph, func(c rune) bool { return unicode.IsSpace(c) && c != '\u00a0' && c != '\u202f' }) {
		if n := len(lines) - 1; n >= 0 && len(lines[n])+1+len(word) <= width {
			lines[n] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return strings.Join(lines, "\n")
}

// token is a piece of a template's source.
type token struct {
	kind kind
	text string
	name string // of an element, or the word of an action
}

type kind uint8

const (
	text kind = iota
	output
	opener // an action that an end closes
	middle // else
	end
	begin  // of an inline element
	finish // of an inline element
	block  // a tag, or another border of a segment
)

// rewrite puts say(segment) in the place of each segment.
func rewrite(source string, say func(string) string) string {
	var out strings.Builder
	var run []token
	flush := func() {
		segments(run, &out, say)
		run = nil
	}
	for _, t := range scan(source) {
		if t.kind == block {
			flush()
			out.WriteString(attributes(t.text, say))
			continue
		}
		run = append(run, t)
	}
	flush()
	return out.String()
}

// segments parts a run of tokens at whatever is not whole within it, and takes
// off what surrounds a segment as a whole.
func segments(run []token, out *strings.Builder, say func(string) string) {
	partner := pair(run)
	from := 0
	for i, t := range run {
		if t.kind == middle && !within(partner, i) || structural(t) && partner[i] < 0 {
			segment(run[from:i], out, say)
			out.WriteString(attributes(t.text, say))
			from = i + 1
		}
	}
	segment(run[from:], out, say)
}

func structural(t token) bool {
	return t.kind == opener || t.kind == end || t.kind == begin || t.kind == finish
}

// pair finds for each opening token the one that closes it, or -1.
func pair(run []token) []int {
	partner := make([]int, len(run))
	var open []int
	for i, t := range run {
		partner[i] = -1
		switch t.kind {
		case opener, begin:
			open = append(open, i)
		case end, finish:
			want := map[kind]kind{end: opener, finish: begin}[t.kind]
			if n := len(open); n > 0 && run[open[n-1]].kind == want {
				partner[i], partner[open[n-1]] = open[n-1], i
				open = open[:n-1]
			}
		case text, output, middle, block:
		}
	}
	return partner
}

// within reports whether an else belongs to a pair of the run.
func within(partner []int, i int) bool {
	for j := range i {
		if partner[j] > i {
			return true
		}
	}
	return false
}

// segment handles a run that is whole in itself.
func segment(run []token, out *strings.Builder, say func(string) string) {
	var before, after string
	for len(run) > 0 {
		first, last := run[0], run[len(run)-1]
		switch {
		case strings.TrimSpace(first.text) == "" || first.kind == output && first.name != "":
			before, run = before+first.text, run[1:]
			continue
		case strings.TrimSpace(last.text) == "" || last.kind == output && last.name != "":
			after, run = last.text+after, run[:len(run)-1]
			continue
		}
		break
	}
	if len(run) == 0 {
		out.WriteString(before + after)
		return
	}
	inner, ends := run[1:], len(run)-1
	if partner := pair(run); structural(run[0]) && partner[0] == ends && ends > 0 {
		out.WriteString(before + attributes(run[0].text, say))
		segments(inner[:len(inner)-1], out, say)
		out.WriteString(run[ends].text + after)
		return
	}
	var whole strings.Builder
	words := false
	for _, t := range run {
		whole.WriteString(t.text)
		words = words || t.kind == text && t.name == "" && lettered(t.text)
	}
	if !words {
		for _, t := range run {
			before += attributes(t.text, say)
		}
		out.WriteString(before + after)
		return
	}
	source := whole.String()
	trimmed := strings.TrimSpace(source)
	lead, _, _ := strings.Cut(source, trimmed)
	key := strings.Join(strings.Fields(trimmed), " ")
	said := say(key)
	if said == key {
		said = trimmed // with its own line breaks
	}
	out.WriteString(before + lead + said + source[len(lead)+len(trimmed):] + after)
}

func lettered(text string) bool { return strings.ContainsFunc(text, unicode.IsLetter) }

// attributes says those attributes of a tag that people meet.
func attributes(tag string, say func(string) string) string {
	if !strings.HasPrefix(tag, "<") {
		return tag
	}
	for _, name := range []string{` aria-label="`, ` alt="`, ` title="`, ` label="`} {
		start := strings.Index(tag, name)
		if start < 0 {
			continue
		}
		start += len(name)
		stop := start
		for stop < len(tag) && tag[stop] != '"' {
			if strings.HasPrefix(tag[stop:], "{{") {
				stop += strings.Index(tag[stop:], "}}")
			}
			stop++
		}
		var said strings.Builder
		segments(scanText(tag[start:stop]), &said, say)
		tag = tag[:start] + said.String() + tag[stop:]
	}
	return tag
}

// scan parts the source of a template into tokens.
func scan(source string) []token {
	var all []token
	for source != "" {
		n := strings.IndexByte(source, '<')
		if n < 0 {
			n = len(source)
		}
		// An action may hold a "<" of its own; none of ours does outside of tags.
		all = append(all, scanText(source[:n])...)
		if source = source[n:]; source == "" {
			break
		}
		closing := ">"
		if strings.HasPrefix(source, "<style") {
			closing = "</style>" // colours say nothing
		}
		stop := 0
		for stop < len(source) && !strings.HasPrefix(source[stop:], closing) {
			if strings.HasPrefix(source[stop:], "{{") {
				stop += strings.Index(source[stop:], "}}")
			}
			stop++
		}
		stop = min(stop+len(closing), len(source))
		all = append(all, element(source[:stop]))
		source = source[stop:]
	}
	return all
}

func element(tag string) token {
	name, kind := strings.TrimLeft(tag, "</"), begin
	if i := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }); i >= 0 {
		name = name[:i]
	}
	if strings.HasPrefix(tag, "</") {
		kind = finish
	}
	switch name {
	case "a", "b", "code", "em", "span", "strong", "time":
		return token{kind, tag, name}
	case "br":
		return token{text, tag, name}
	}
	return token{block, tag, name}
}

// scanText parts what stands between tags into words and actions.
func scanText(source string) []token {
	var all []token
	for source != "" {
		n := strings.Index(source, "{{")
		if n < 0 {
			n = len(source)
		}
		for i, paragraph := range paragraphs(source[:n]) {
			if i > 0 {
				all = append(all, token{kind: block})
			}
			if paragraph != "" {
				all = append(all, token{kind: text, text: paragraph})
			}
		}
		if source = source[n:]; source == "" {
			break
		}
		stop := strings.Index(source, "}}") + 2
		all = append(all, action(source[:stop]))
		source = source[stop:]
	}
	return all
}

// paragraphs parts text at empty lines and below the line that begins a mail's
// signature (RFC 3676 §4.3).
func paragraphs(s string) []string {
	var all []string
	for _, p := range strings.SplitAfter(s, "\n\n") {
		all = append(all, strings.SplitAfter(p, "\n-- \n")...)
	}
	return all
}

func action(source string) token {
	word, _, _ := strings.Cut(strings.Trim(source, "{}- "), " ")
	switch word {
	case "if", "with", "range":
		return token{opener, source, word}
	case "else":
		return token{middle, source, word}
	case "end":
		return token{end, source, word}
	case "define", "template":
		return token{block, source, word}
	}
	if strings.Contains(source, ":=") {
		return token{output, source, "variable"}
	}
	return token{kind: output, text: source}
}
