// Package templates holds what the authserver's pages are made of: html/template
// files, one per page around one layout, and the static files that they name.
//
//	pages/layout.html   the frame: head, shelf, footer; calls "title" and "main"
//	pages/*.html        one page each, defining "title" and "main"
//	static/*            stylesheet, icon and scripts, served under a content hash
//	mail/*.txt, *.html  one mail each in both forms, around layout.txt and layout.html
//	languages/*.txt     what all of these say in other languages (package language)
//
// The pages need no web font and nothing from another host, and no script but
// for passkeys: a page that defines "passkey-script" is given passkey.js. One
// that defines "form-script" is given form.js, and works without it.
package templates

import (
	"embed"
	"io/fs"
)

//go:embed pages/*.html static/* mail/* languages/*.txt
var files embed.FS

// Pages returns the templates, layout.html among them.
func Pages() fs.FS { return sub("pages") }

// Static returns the files that pages refer to.
func Static() fs.FS { return sub("static") }

// Mail returns the templates of mails, the layouts among them.
func Mail() fs.FS { return sub("mail") }

// Languages returns the catalogues of the languages, a file per language.
func Languages() fs.FS { return sub("languages") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return f
}
