package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"larder/internal/language"
	"larder/templates"
)

// Every text that people may meet is there in every language, and a catalogue
// says nothing that nobody would hear.
func TestEveryTextIsThereInEveryLanguage(t *testing.T) {
	t.Parallel()
	catalogue, err := language.Load(templates.Languages(), language.Brand)
	if err != nil {
		t.Fatal(err)
	}
	texts, heard := templateTexts(t), make(map[string]string)
	for _, root := range []string{".", "../internal/password", "../internal/limit", "../internal/link", "../internal/web/form.go"} {
		for where, text := range sentences(t, root) {
			texts[text] = where
		}
	}
	for where, text := range refusals(t) {
		texts[text] = where
	}
	for where, text := range sentences(t, "../internal") { // some of it reaches people by way of errors
		heard[text] = where
	}
	for _, l := range catalogue.All()[1:] {
		for text, where := range texts {
			if !l.Has(text) {
				t.Errorf("templates/languages/%s.txt has no line for what %s says; add it at its place:\n%s\n  …", l.Tag, where, text)
			}
		}
		for _, key := range l.Keys() {
			if texts[key] == "" && heard[key] == "" && !fragment(key) {
				t.Errorf("templates/languages/%s.txt: nothing says any more:\n%s", l.Tag, key)
			}
		}
	}
}

// fragment reports whether a text is a part of others, such as what fills one.
func fragment(key string) bool {
	first := []rune(key)[0]
	return first != '{' && strings.ToLower(string(first)) == string(first) || !strings.Contains(key, " ") || strings.Contains(key, "{1}") || key == "Phone number"
}

func templateTexts(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	for dir, files := range map[string]fs.FS{"pages": templates.Pages(), "mail": templates.Mail()} {
		names, err := fs.Glob(files, "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			source, err := fs.ReadFile(files, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, segment := range language.Segments(string(source)) {
				texts[segment] = "templates/" + dir + "/" + name
			}
		}
	}
	return texts
}

// silent are packages whose sentences reach programs and operators only: RFC 6749
// §5.2 has descriptions of errors in ASCII.
func silent() []string {
	return []string{"admin", "apikey", "client", "grant", "holder", "keys", "logout", "oauth", "registration", "testdata"}
}

// sentences finds what the code says: every string that begins with a capital
// letter and has a space, or begins with a part and ends with a full stop, with
// numbers for the parts that are put into it.
func sentences(t *testing.T, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	if err := walk(t, root, found); err != nil || len(found) == 0 {
		t.Fatalf("%s has %d sentences, %v", root, len(found), err)
	}
	return found
}

func walk(t *testing.T, root string, found map[string]string) error {
	t.Helper()
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && slices.Contains(silent(), d.Name()) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.Contains(path, "/") || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, path, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			expression, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, whole := spoken(expression)
			if whole && regexp.MustCompile(`^(\{1\} .*\.( \{\d\})?|[\p{Lu}“].* .*)$`).MatchString(text) && !regexp.MustCompile(`SELECT|INSERT|UPDATE|DELETE|WITH |WHERE|^Bearer`).MatchString(text) {
				found[positions.Position(n.Pos()).String()] = text
			}
			return !whole
		})
		return nil
	})
}

// refusals finds what the pages of the protocol's endpoints for browsers say when there is no app to go back to.
func refusals(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, name := range []string{"authorize.go", "authorize_post.go", "authorize_request.go", "request_object.go", "par.go", "end_session.go"} {
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, filepath.Join("oauth", name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			if made, ok := call.Fun.(*ast.SelectorExpr); !ok || made.Sel.Name != "New" {
				return true
			}
			if text, whole := spoken(call.Args[1]); whole && !strings.Contains(text, "KiB") { // of a limit, programs hear
				found[positions.Position(n.Pos()).String()] = text
			}
			return true
		})
	}
	return found
}

// spoken returns a string that is written in the code, whole or put together.
func spoken(e ast.Expr) (text string, ok bool) {
	var parts []ast.Expr
	var flatten func(ast.Expr)
	flatten = func(e ast.Expr) {
		if sum, ok := e.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
			flatten(sum.X)
			flatten(sum.Y)
			return
		}
		parts = append(parts, e)
	}
	flatten(e)
	n, words := 0, false
	for _, part := range parts {
		if lit, is := part.(*ast.BasicLit); is && lit.Kind == token.STRING {
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				return "", false
			}
			for _, verb := range regexp.MustCompile(`%[a-z]`).FindAllString(s, -1) {
				n++
				s = strings.Replace(s, verb, "{"+strconv.Itoa(n)+"}", 1)
			}
			text, words = text+s, true
			continue
		}
		n++
		text += "{" + strconv.Itoa(n) + "}"
	}
	return text, words
}
