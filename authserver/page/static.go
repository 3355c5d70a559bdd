package page

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"larder/internal/brand"
	"larder/internal/fault"
	"larder/internal/web"
)

const staticPath = "/static/"

// asset is a static file as it is served.
type asset struct {
	contentType string
	body        []byte
}

// loadAssets takes the static files, with the colours and the logo of the brand.
func (p *Renderer) loadAssets(files fs.FS, b brand.Brand) error {
	p.assets = make(map[string]asset)
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		body, err := fs.ReadFile(files, entry.Name())
		if err != nil {
			return err
		}
		switch entry.Name() {
		case "larder.css":
			p.style = p.addAsset(entry.Name(), append(body, b.CSS()...))
		case "larder.svg":
			p.icon = p.addAsset(entry.Name(), body)
		case "passkey.js":
			p.script.passkey = p.addAsset(entry.Name(), body)
		case "form.js":
			p.script.form = p.addAsset(entry.Name(), body)
		case "post.js":
			p.script.post = p.addAsset(entry.Name(), body)
		}
	}
	if p.style == "" || p.icon == "" || p.script.passkey == "" || p.script.form == "" || p.script.post == "" {
		return fmt.Errorf("the stylesheet, the icon or a script is missing from %d static files", len(entries))
	}
	if b.Logo != nil {
		p.brand.Logo, p.brand.LogoType = p.addAsset("logo"+b.Logo.Ext(), b.Logo.Body), b.Logo.Type
	}
	return nil
}

// addAsset names a file by its content, larder.3f9a….css, so that it may be
// cached for ever, and returns its path.
func (p *Renderer) addAsset(file string, body []byte) string {
	sum := sha256.Sum256(body)
	ext := path.Ext(file)
	name := strings.TrimSuffix(file, ext) + "." + hex.EncodeToString(sum[:8]) + ext
	p.assets[name] = asset{contentType: contentType(ext), body: body}
	return staticPath + name
}

// contentType does not depend on the machine's own table for what we serve.
func contentType(ext string) string {
	switch ext {
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".png":
		return "image/png"
	}
	return mime.TypeByExtension(ext)
}

// Mount serves the static files and the chooser of languages.
func (p *Renderer) Mount(rt *web.Router) {
	rt.Handle(http.MethodPost, languagePath, p.choose)
	rt.Handle(http.MethodGet, staticPath+"{name}", p.handleStatic)
}

func (p *Renderer) handleStatic(w http.ResponseWriter, r *http.Request) error {
	a, ok := p.assets[web.Var(r, "name")]
	if !ok {
		return fault.New(fault.NotFound, "There is nothing at this address.")
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox") // a drawing that is opened by itself runs nothing
	p.setHSTS(h)
	_, err := w.Write(a.body)
	return err
}
