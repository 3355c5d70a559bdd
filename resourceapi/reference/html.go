package reference

import (
	"bytes"
	"fmt"
	"html"
)

// writer writes HTML. What comes from the document is an argument, and escaped.
//
// Not html/template: it calls methods by names that the linker cannot know, so
// that the program would keep every method of every library, a third of its size.
type writer struct{ bytes.Buffer }

func (w *writer) put(markup string, texts ...string) {
	escaped := make([]any, len(texts))
	for i, t := range texts {
		escaped[i] = html.EscapeString(t)
	}
	fmt.Fprintf(w, markup, escaped...)
}

// head begins a page.
func (w *writer) head(title string) {
	w.put(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<style>`, title)
	w.WriteString(style)
	w.put("</style>\n</head>\n")
}

// html is the page.
func (v view) html() []byte {
	w := &writer{}
	w.head(v.Title)
	w.put(`<body>
<a class="skip" href="#content">To the content</a>
<header>
<h1>%s</h1>
<p>%s</p>
<p><a href="/openapi.json">OpenAPI document</a></p>
</header>
<div class="columns">
<nav aria-label="Operations">
<details open><summary>Contents</summary>
`, v.Title, v.Summary)
	w.contents(v.Groups)
	w.put(`</details>
</nav>
<main id="content">
<section>
`)
	w.paragraphs(v.About)
	w.put("<h2>Credentials</h2>\n<dl>")
	for _, s := range v.Security {
		w.put("<div><dt><code>%s</code></dt><dd>%s</dd></div>", s.Name, s.About)
	}
	w.put("</dl>\n</section>\n")
	for _, g := range v.Groups {
		w.group(g)
	}
	w.put(`<section aria-labelledby="schemas">
<h2 id="schemas">Schemas</h2>
`)
	for _, s := range v.Schemas {
		w.put("<article id=\"schema-%s\">\n<h3>%s</h3>\n<p class=\"soft\">%s</p>\n", s.Name, s.Name, s.About)
		w.rows("", s.Members)
		w.put("</article>\n")
	}
	w.put(`</section>
</main>
</div>
</body>
</html>
`)
	return w.Bytes()
}

func (w *writer) contents(groups []group) {
	for _, g := range groups {
		if len(g.Operations) == 0 {
			continue
		}
		w.put(`<h2><a href="#%s">%s</a></h2>`+"\n<ul>", g.Name, g.Name)
		for _, o := range g.Operations {
			w.put(`<li><a href="#%s"><span class="verb %s">%s</span> %s</a></li>`, o.ID, o.Method, o.Method, o.Summary)
		}
		w.put("</ul>\n")
	}
	w.put(`<h2><a href="#schemas">Schemas</a></h2>` + "\n")
}

func (w *writer) group(g group) {
	if len(g.Operations) == 0 {
		return
	}
	w.put(`<section aria-labelledby="%s">
<h2 id="%s">%s</h2>
<p class="soft">%s</p>
`, g.Name, g.Name, g.Name, g.About)
	for _, o := range g.Operations {
		w.operation(o)
	}
	w.put("</section>\n")
}

func (w *writer) operation(o operation) {
	w.put(`<article id="%s" aria-labelledby="%s-title">
<h3 id="%s-title">%s</h3>
<p class="line"><span class="verb %s">%s</span> <code>%s</code></p>
`, o.ID, o.ID, o.ID, o.Summary, o.Method, o.Method, o.Path)
	w.paragraphs(o.About)
	switch {
	case o.Open:
		w.put(`<p class="soft">No credential is needed.</p>`)
	case len(o.Scopes) > 0:
		w.put(`<p class="soft">Scope: `)
		w.codes(o.Scopes)
		w.put("</p>")
	}
	w.put("\n")
	w.rows("Parameters", o.Parameters)
	if len(o.Body) > 0 {
		w.put("<h4>Request</h4>")
		w.bodies(o.Body)
	}
	w.put("<h4>Answers</h4>\n<dl>")
	for _, a := range o.Answers {
		w.put(`<div><dt><span class="status s%s">%s</span></dt><dd>%s`+"\n", a.Status[:1], a.Status, a.About)
		if len(a.Headers) > 0 {
			names := make([]string, 0, len(a.Headers))
			for _, h := range a.Headers {
				names = append(names, h.Name)
			}
			w.put(`<span class="soft">(`)
			w.codes(names)
			w.put(")</span>\n")
		}
		w.bodies(a.Body)
		w.put("</dd></div>")
	}
	w.put("</dl>\n</article>\n")
}

func (w *writer) codes(all []string) {
	for i, text := range all {
		if i > 0 {
			w.put(", ")
		}
		w.put("<code>%s</code>", text)
	}
}

func (w *writer) paragraphs(all []paragraph) {
	for _, p := range all {
		if p.Item {
			w.put(`<p class="item">`)
		} else {
			w.put("<p>")
		}
		for _, s := range p.Spans {
			if s.Code {
				w.put("<code>%s</code>", s.Text)
			} else {
				w.put("%s", s.Text)
			}
		}
		w.put("</p>\n")
	}
}

// rows writes nothing where there are none.
func (w *writer) rows(title string, all []row) {
	if len(all) == 0 {
		return
	}
	if title != "" {
		w.put("<h4>%s</h4>\n", title)
	}
	w.put("<dl>")
	for _, r := range all {
		w.put("<div><dt><code>%s</code>", r.Name)
		if r.Required {
			w.put(` <span class="required">required</span>`)
		}
		w.soft(r.In)
		w.put("</dt>\n<dd>")
		if r.Link != "" {
			w.put(`<a href="#schema-%s">%s</a>`, r.Link, r.Type)
		} else {
			w.put(`<span class="type">%s</span>`, r.Type)
		}
		w.soft(r.About)
		w.put("</dd></div>")
	}
	w.put("</dl>\n")
}

func (w *writer) soft(text string) {
	if text != "" {
		w.put(` <span class="soft">%s</span>`, text)
	}
}

func (w *writer) bodies(all []body) {
	for _, b := range all {
		w.put("<details><summary><code>%s</code> %s</summary>\n", b.Media, b.Schema)
		if b.Schema != "" {
			w.put(`<p><a href="#schema-%s">Schema %s</a></p>`, b.Schema, b.Schema)
		}
		if b.Example != "" {
			w.put(`<pre tabindex="0"><code>%s</code></pre>`, b.Example)
		}
		w.put("</details>")
	}
}
