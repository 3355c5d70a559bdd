package mail

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"strings"
	texttemplate "text/template"

	"larder/templates"
)

// Composer turns letters into text. Make it with NewComposer.
type Composer struct {
	texts map[string]*texttemplate.Template
	pages map[string]*htmltemplate.Template
}

// content is what a mail's templates see.
type content struct {
	Name  string
	Link  string
	Facts map[string]string
}

// NewComposer parses every template.
func NewComposer() (*Composer, error) {
	c := &Composer{texts: make(map[string]*texttemplate.Template), pages: make(map[string]*htmltemplate.Template)}
	files := templates.Mail()
	names, err := fs.Glob(files, "*.txt")
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		name := strings.TrimSuffix(file, ".txt")
		if name == "layout" {
			continue
		}
		if c.texts[name], err = texttemplate.New(file).Option("missingkey=error").ParseFS(files, "layout.txt", file); err != nil {
			return nil, fmt.Errorf("parsing mail %s: %w", name, err)
		}
		if c.pages[name], err = htmltemplate.New(file).Option("missingkey=error").ParseFS(files, "layout.html", name+".html"); err != nil {
			return nil, fmt.Errorf("parsing mail %s: %w", name, err)
		}
	}
	return c, nil
}

func (c *Composer) compose(l Letter, target string) (Message, error) {
	text, page := c.texts[l.Template], c.pages[l.Template]
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
