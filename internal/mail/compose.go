package mail

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"strings"
	"sync"
	texttemplate "text/template"

	"larder/internal/brand"
	"larder/internal/language"
	"larder/templates"
)

// Composer turns letters into text. Make it with NewComposer.
type Composer struct {
	languages *language.Catalogue
	letters   map[string]map[string]func() (*letter, error) // by language and name
}

// letter is a mail in both of its forms.
type letter struct {
	text *texttemplate.Template
	page *htmltemplate.Template
}

// content is what a mail's templates see.
type content struct {
	Name  string
	Link  string
	Facts map[string]string
}

// NewComposer promises every mail in every language, the catalogue's being those
// of the brand. One is parsed when it is first written.
func NewComposer(languages *language.Catalogue, b brand.Brand) (*Composer, error) {
	files := templates.Mail()
	names, err := fs.Glob(files, "*.txt")
	if err != nil {
		return nil, err
	}
	c := &Composer{languages: languages, letters: make(map[string]map[string]func() (*letter, error))}
	for _, l := range languages.All() {
		c.letters[l.Tag] = make(map[string]func() (*letter, error))
		for _, file := range names {
			if name := strings.TrimSuffix(file, ".txt"); name != "layout" {
				c.letters[l.Tag][name] = sync.OnceValues(func() (*letter, error) { return parse(files, l, b, name) })
			}
		}
	}
	return c, nil
}

func parse(files fs.FS, l *language.Language, b brand.Brand, name string) (*letter, error) {
	words := map[string]any{"lang": func() string { return l.Tag }, "say": l.Say, "brand": func() brand.Brand { return b }}
	text := texttemplate.New(name).Option("missingkey=error").Funcs(words)
	page := htmltemplate.New(name).Option("missingkey=error").Funcs(words)
	for _, file := range []string{"layout", name} {
		for _, form := range []string{".txt", ".html"} {
			source, err := fs.ReadFile(files, file+form)
			if err != nil {
				return nil, err
			}
			if said := l.Template(string(source)); form == ".txt" {
				_, err = text.Parse(said)
			} else {
				_, err = page.Parse(said)
			}
			if err != nil {
				return nil, fmt.Errorf("parsing mail %s in %s: %w", name, l.Name, err)
			}
		}
	}
	return &letter{text, page}, nil
}

func (c *Composer) compose(l Letter, target string) (Message, error) {
	spoken, _ := c.languages.Match(l.Language)
	parsed, ok := c.letters[spoken.Tag][l.Template]
	if !ok {
		return Message{}, fmt.Errorf("no mail is called %q", l.Template)
	}
	form, err := parsed()
	if err != nil {
		return Message{}, err
	}
	say := content{Name: l.Name, Link: target, Facts: l.Facts}
	var subject, plain, html bytes.Buffer
	if err := form.text.ExecuteTemplate(&subject, "subject", say); err != nil {
		return Message{}, err
	}
	if err := form.text.ExecuteTemplate(&plain, "layout", say); err != nil {
		return Message{}, err
	}
	err = form.page.ExecuteTemplate(&html, "layout", say)
	return Message{
		To: l.To, Name: l.Name, Language: spoken.Tag, Subject: strings.Join(strings.Fields(subject.String()), " "),
		Text: strings.TrimLeft(plain.String(), "\n"), HTML: html.String(),
	}, err
}
