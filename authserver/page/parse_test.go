package page

import (
	"testing"

	"larder/internal/brand"
)

// Nobody parses a page before it is asked for, so somebody has to here.
func TestEveryPageParsesInEveryLanguage(t *testing.T) {
	t.Parallel()
	p, err := New("http://localhost:9000", brand.Larder())
	if err != nil {
		t.Fatal(err)
	}
	for tag, pages := range p.pages {
		if len(pages) < 20 {
			t.Errorf("%d pages in %s", len(pages), tag)
		}
		for _, parsed := range pages {
			if _, err := parsed(); err != nil {
				t.Error(err)
			}
		}
	}
}
