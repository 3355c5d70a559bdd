package reference

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed page.css
var style string

func methods() []string { return []string{"get", "post", "put", "patch", "delete"} }

// Page is the document as HTML.
type Page struct {
	HTML []byte
	// Policy is its Content-Security-Policy: its own style and nothing else.
	Policy string
}

type view struct {
	Title, Summary string
	About          []paragraph
	Security       []row
	Groups         []group
	Schemas        []schema
}

type group struct {
	Name, About string
	Operations  []operation
}

type operation struct {
	ID, Method, Path, Summary string
	About                     []paragraph
	Scopes                    []string
	Open                      bool // takes no credential
	Parameters                []row
	Body                      []body
	Answers                   []answer
}

type body struct {
	Media, Schema, Example string
}

type answer struct {
	Status, About string
	Headers       []row
	Body          []body
}

type schema struct {
	Name, About string
	Members     []row
}

type row struct {
	Name, In, Type, About string
	Required              bool
	Link                  string // the schema that the type is, if it has a name
}

// Render makes the page of a document.
func (d Document) Render() *Page {
	info := d.object("info")
	v := view{Title: text(info["title"]), Summary: text(info["summary"]), About: paragraphs(info["description"])}
	for _, name := range sorted(object(d.object("components")["securitySchemes"])) {
		s := object(object(d.object("components")["securitySchemes"])[name])
		v.Security = append(v.Security, row{Name: name, Type: cmp.Or(text(s["scheme"]), text(s["type"])), About: text(s["description"]) + endpoints(s)})
	}
	byTag := d.operations()
	tags, _ := d["tags"].([]any)
	for _, tag := range tags {
		name := text(object(tag)["name"])
		v.Groups = append(v.Groups, group{Name: name, About: text(object(tag)["description"]), Operations: byTag[name]})
	}
	all := object(d.object("components")["schemas"])
	for _, name := range sorted(all) {
		s := object(all[name])
		v.Schemas = append(v.Schemas, schema{Name: name, About: cmp.Or(text(s["description"]), d.kind(s).Type), Members: d.members(s)})
	}
	return page(v.html())
}

func page(html []byte) *Page {
	sum := sha256.Sum256([]byte(style))
	return &Page{
		HTML:   html,
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
}

// SetIssuer has the OAuth endpoints, which the document names by their paths, be
// those of the issuer.
func (d Document) SetIssuer(issuer string) {
	for _, scheme := range object(d.object("components")["securitySchemes"]) {
		for _, flow := range object(object(scheme)["flows"]) {
			flow := object(flow)
			for _, name := range endpointNames() {
				if path := text(flow[name]); strings.HasPrefix(path, "/") {
					flow[name] = strings.TrimSuffix(issuer, "/") + path
				}
			}
		}
	}
}

func endpointNames() []string { return []string{"authorizationUrl", "tokenUrl"} }

// endpoints says where the flows of a scheme begin, each address once.
func endpoints(scheme map[string]any) (said string) {
	flows := object(scheme["flows"])
	for _, name := range endpointNames() {
		for _, flow := range sorted(flows) {
			if at := text(object(flows[flow])[name]); at != "" && !strings.Contains(said, " "+at+".") {
				said += " " + name + ": " + at + "."
			}
		}
	}
	return said
}

// Problem makes the page that says what a problem's code means.
func Problem(code, meaning string) *Page {
	w := &writer{}
	w.head(code)
	w.put(`<body>
<main>
<h1>%s</h1>
<p>%s</p>
<p><a href="/docs">The API</a></p>
</main>
</body>
</html>
`, code, meaning)
	return page(w.Bytes())
}

// Problems are what the codes of problems mean.
func (d Document) Problems() map[string]string {
	meanings := make(map[string]string)
	for code, meaning := range d.object("x-problems") {
		meanings[code] = text(meaning)
	}
	return meanings
}

// operations are those of the document by their first tag, in the order of
// their paths.
func (d Document) operations() map[string][]operation {
	byTag := make(map[string][]operation)
	paths := d.object("paths")
	for _, path := range sorted(paths) {
		item := object(paths[path])
		for _, method := range methods() {
			o := object(item[method])
			if o == nil {
				continue
			}
			op := operation{
				ID: text(o["operationId"]), Method: strings.ToUpper(method), Path: path, Summary: text(o["summary"]), About: paragraphs(o["description"]),
				Body: d.bodies(object(o["requestBody"])),
			}
			op.Scopes, op.Open = scopes(o["security"])
			for _, p := range append(list(item["parameters"]), list(o["parameters"])...) {
				parameter := d.resolve(object(p))
				r := d.kind(object(parameter["schema"]))
				r.Name, r.In, r.About = text(parameter["name"]), text(parameter["in"]), cmp.Or(text(parameter["description"]), r.About)
				r.Required, _ = parameter["required"].(bool)
				op.Parameters = append(op.Parameters, r)
			}
			op.Answers = d.answers(object(o["responses"]))
			tag := ""
			if tags := list(o["tags"]); len(tags) > 0 {
				tag = text(tags[0])
			}
			byTag[tag] = append(byTag[tag], op)
		}
	}
	return byTag
}

func (d Document) answers(responses map[string]any) []answer {
	var all []answer
	for _, status := range sorted(responses) {
		r := d.resolve(object(responses[status]))
		a := answer{Status: status, About: text(r["description"])}
		for _, name := range sorted(object(r["headers"])) {
			h := d.resolve(object(object(r["headers"])[name]))
			a.Headers = append(a.Headers, row{Name: name, About: text(h["description"])})
		}
		if status < "400" { // problems all look alike; the description says what is new
			a.Body = d.bodies(r)
		}
		all = append(all, a)
	}
	return all
}

func (d Document) bodies(of map[string]any) []body {
	var all []body
	for _, media := range sorted(object(of["content"])) {
		c := object(object(of["content"])[media])
		b := body{Media: media, Schema: d.kind(object(c["schema"])).Link}
		switch v := c["example"].(type) {
		case nil:
		case string:
			b.Example = v
		default:
			raw, err := json.MarshalIndent(v, "", "  ")
			if err == nil {
				b.Example = string(raw)
			}
		}
		all = append(all, b)
	}
	return all
}

func (d Document) members(s map[string]any) []row {
	var all []row
	required := list(s["required"])
	properties := object(s["properties"])
	for _, name := range sorted(properties) {
		r := d.kind(object(properties[name]))
		r.Name, r.Required = name, slices.Contains(required, any(name))
		all = append(all, r)
	}
	return all
}

// kind says in a few words what a schema takes.
func (d Document) kind(s map[string]any) row {
	r := row{About: text(s["description"])}
	if ref, ok := s["$ref"].(string); ok {
		r.Link = ref[strings.LastIndex(ref, "/")+1:]
		to := d.resolve(s)
		if r.About == "" {
			r.About = text(to["description"])
		}
		r.Type = r.Link
		return r
	}
	parts := []string{strings.Join(types(s), " or ")}
	if items := object(s["items"]); items != nil {
		of := d.kind(items)
		parts, r.Link = []string{"array of " + cmp.Or(of.Type, "values")}, of.Link
	}
	if s["format"] != nil {
		parts = append(parts, text(s["format"]))
	}
	if enum := list(s["enum"]); len(enum) > 0 {
		var all []string
		for _, v := range enum {
			all = append(all, fmt.Sprint(v))
		}
		parts = append(parts, strings.Join(all, " | "))
	}
	for _, bound := range []struct{ member, words string }{
		{"const", "always %v"},
		{"minimum", "from %v"},
		{"exclusiveMinimum", "over %v"},
		{"maximum", "to %v"},
		{"minLength", "at least %v characters"},
		{"maxLength", "at most %v characters"},
		{"minItems", "at least %v"},
		{"maxItems", "at most %v"},
		{"pattern", "like %v"},
		{"default", "%v if absent"},
	} {
		if v, ok := s[bound.member]; ok {
			parts = append(parts, fmt.Sprintf(bound.words, v))
		}
	}
	r.Type = strings.Trim(strings.Join(parts, ", "), ", ")
	return r
}

// scopes are those that the requirements of an operation name; open is one
// that needs no credential.
func scopes(security any) (all []string, open bool) {
	requirements, ok := security.([]any)
	for _, requirement := range requirements {
		for _, scope := range list(object(requirement)["oauth2"]) {
			all = append(all, text(scope))
		}
	}
	return all, ok && len(requirements) == 0
}

func list(v any) []any {
	all, _ := v.([]any)
	return slices.Clip(all)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// paragraph is a piece of a description: of Markdown, the document uses
// paragraphs, items that begin with an asterisk, and code between backticks.
type paragraph struct {
	Item  bool
	Spans []span
}

type span struct {
	Code bool
	Text string
}

func paragraphs(v any) []paragraph {
	var all []paragraph
	begin := true
	for line := range strings.Lines(strings.TrimSpace(text(v))) {
		line = strings.TrimSpace(line)
		words, item := strings.CutPrefix(line, "* ")
		if item || begin && line != "" {
			all = append(all, paragraph{Item: item})
		}
		if begin = line == ""; begin {
			continue
		}
		last := &all[len(all)-1]
		for i, piece := range strings.Split(words+" ", "`") {
			last.Spans = append(last.Spans, span{Code: i%2 == 1, Text: piece})
		}
	}
	return all
}

func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
