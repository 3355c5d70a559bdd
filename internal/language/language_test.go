package language_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/language"
)

func catalogue(t *testing.T, brand string) *language.Catalogue {
	t.Helper()
	c, err := language.Load(fstest.MapFS{"fr.txt": {}, "de.txt": {Data: []byte(`# a comment
Sign in
  Anmelden
Hello, <b>{{.Name}}</b> of Larder
  <b>{{.Name}}</b> von Larder, hallo
Wait {1}; {2} is needed.
  {2} ist nötig, warte {1}.
{1} on {2}
  {1} auf {2}
{1} seconds
  {1} Sekunden
add items
  Artikel hinzufügen
check items off
  abhaken
“{1}”
  „{1}“
`)}}, brand)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSegmentsAreWhatStandsBetweenBlocks(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		`{{define "title"}}{{template "alarm" .}}Sign in{{end}}`:                                         {"Sign in"},
		"<p class=\"x\">\n {{with .App}}to <b>{{.}}</b>{{else}}here{{end}}</p>":                          {"to <b>{{.}}</b>", "here"},
		`<p>{{if .A}}One. {{end}}Two.</p><br>`:                                                           {"{{if .A}}One. {{end}}Two."},
		`<a class="b" href="/x{{if eq .Y "<z>"}}y{{end}}">Go</a>`:                                        {"Go"},
		`<li><span><b>{{.N}}</b> (this)</span><form><button aria-label="End {{.N}}">End</button></form>`: {"<b>{{.N}}</b> (this)", "End {{.N}}", "End"},
		`<p class="wordmark">Larder</p><p>{{.X}} · 5 &amp;</p>`:                                          {"amp"},
		"{{define \"text\"}}\nfirst\nparagraph\n\n{{.Link}}\n\nsecond{{end}}\n-- \nfoot":                 {"first paragraph", "second", "foot"},
	} {
		if want[0] == "amp" {
			want = []string{"{{.X}} · 5 &amp;"}
		}
		if diff := cmp.Diff(want, language.Segments(source)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}

func TestALanguageSaysTemplatesAndSentences(t *testing.T) {
	t.Parallel()
	de, ok := catalogue(t, "Vorrat & Co").Match("xx", "de-AT,en;q=0.5")
	if !ok || de.Tag != "de" {
		t.Fatalf("%v %v", de, ok)
	}
	got := de.Template("<style>b { color: {{.Larder}} }</style><p>\nHello,\n<b>{{.Name}}</b> of Larder</p><p>Unknown to Larder</p>")
	if want := "<style>b { color: {{.Larder}} }</style><p>\n<b>{{.Name}}</b> von Vorrat &amp; Co, hallo</p><p>Unknown to Vorrat &amp; Co</p>"; got != want {
		t.Errorf("the template is %q, want %q", got, want)
	}
	for english, want := range map[string]string{
		"Sign in":                         "Anmelden",
		"Wait 12 seconds; {2} is needed.": "{2} ist nötig, warte 12 Sekunden.",
		"Wait add items and check items off; x is needed.": "x ist nötig, warte Artikel hinzufügen und abhaken.",
		"Firefox on Windows":         "Firefox auf Windows",
		"Cat on mat on floor":        "Cat auf mat on floor",
		"“Party”, “Week” on “Mat”":   "„Party“, „Week“ auf „Mat“",
		" on Windows":                " on Windows",
		"The server is on fire.":     "The server is on fire.",
		"Something of Larder <else>": "Something of Larder <else>",
		"1 May 2026 at 10:00 UTC":    "1. Mai 2026, 10:00 UTC",
	} {
		if got := de.Say(english); got != want {
			t.Errorf("%q is %q, want %q", english, got, want)
		}
	}
	if got := de.Day(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)); got != "1. März 2026" {
		t.Errorf("the day is %q", got)
	}
	if en, ok := catalogue(t, "Larder").Match("ja", "", "%%%"); ok || en.Tag != "en" {
		t.Errorf("a stranger is answered in %v", en)
	}
}

func TestACatalogueThatIsOutOfStepIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"One\nTwo\n  Zwei\n", "  Zwei\n", "One\n", "One\n  Eins\nOne\n  Eins\n"} {
		if _, err := language.Load(fstest.MapFS{"de.txt": {Data: []byte(text)}, "fr.txt": {}}, "Larder"); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
