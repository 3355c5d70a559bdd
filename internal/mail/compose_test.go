package mail

import (
	"testing"

	"larder/internal/brand"
	"larder/internal/language"
	"larder/templates"
)

// Nobody parses a mail before it is written, so somebody has to here.
func TestEveryMailParsesInEveryLanguage(t *testing.T) {
	t.Parallel()
	languages, err := language.Load(templates.Languages(), language.Brand)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewComposer(languages, brand.Larder())
	if err != nil {
		t.Fatal(err)
	}
	for tag, letters := range c.letters {
		if len(letters) < 10 {
			t.Errorf("%d mails in %s", len(letters), tag)
		}
		for _, parsed := range letters {
			if _, err := parsed(); err != nil {
				t.Error(err)
			}
		}
	}
}
