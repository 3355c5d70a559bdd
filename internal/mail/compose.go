package mail

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"strings"
	texttemplate "text/template"

	"larder/internal/brand"
	"larder/internal/language"
	"larder/templates"
)

// Composer turns letters into text. Make it with NewComposer.
type Composer struct {
	languages *language.Catalogue
	brand     brand.Brand
	texts     map[string]map[string]*texttemplate.Template // by language and name
	pages     map[string]map[string]*htmltemplate.Template
}

// content is what a mail's templates see.
type content struct {
	Name  string
	Link  string
	Facts map[string]string
}

// NewComposer parses every template in every language, the catalogue's being
// those of the brand.
func NewComposer(languages *language.Catalogue, b brand.Brand) (*Composer, error) {
	c := &Composer{languages: languages, brand: b, texts: make(map[string]map[string]*texttemplate.Template), pages: make(map[string]map[string]*htmltemplate.Template)}
	files := templates.Mail()
	names, err := fs.Glob(files, "*.txt")
	if err != nil {
		return nil, err
	}
	for _, l := range languages.All() {
		c.texts[l.Tag], c.pages[l.Tag] = make(map[string]*texttemplate.Template), make(map[string]*htmltemplate.Template)
		for _, file := range names {
			name := strings.TrimSuffix(file, ".txt")
			if name == "layout" {
				continue
			}
			if err := c.parse(files, l, name); err != nil {
				return nil, fmt.Errorf("parsing mail %s in %s: %w", name, l.Name, err)
			}
		}
	}
	return c, nil
}

func (c *Composer) parse(files fs.FS, l *language.Language, name string) error {
	words := map[string]any{"lang": func() string { return l.Tag }, "say": l.Say, "brand": func() brand.Brand { return c.brand }}
	text := texttemplate.New(name).Option("missingkey=error").Funcs(words)
	page := htmltemplate.New(name).Option("missingkey=error").Funcs(words)
	for _, file := range []string{"layout", name} {
		for _, form := range []string{".txt", ".html"} {
			source, err := fs.ReadFile(files, file+form)
			if err != nil {
				return err
			}
			if said := l.Template(string(source)); form == ".txt" {
				_, err = text.Parse(said)
			} else {
				_, err = page.Parse(said)
			}
			if err != nil {
				return err
			}
		}
	}
	c.texts[l.Tag][name], c.pages[l.Tag][name] = text, page
	return nil
}

func (c *Composer) compose(l Letter, target string) (Message, error) {
	spoken, _ := c.languages.Match(l.Language)
	text, page := c.texts[spoken.Tag][l.Template], c.pages[spoken.Tag][l.Template]
	if text == nil || page == nil {
		return Message{}, fmt.Errorf("no mail is called %q", l.Template)
	}
	say := content{Name: l.Name, Link: target, Facts: l.Facts}
	var subject, plain, html bytes.Buffer
	if err := text.ExecuteTemplate(&subject, "subject", say); err != nil {
		return Message{}, err
	}
	if err := text.ExecuteTemplate(&plain, "layout", say); err != nil {
		return Message{}, err
	}
	err := page.ExecuteTemplate(&html, "layout", say)
	return Message{
		To: l.To, Name: l.Name, Subject: strings.Join(strings.Fields(subject.String()), " "),
		Text: strings.TrimLeft(plain.String(), "\n"), HTML: html.String(),
	}, err
}
