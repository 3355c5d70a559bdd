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

	"larder/internal/fault"
	"larder/internal/web"
)

const staticPath = "/static/"

// asset is a static file as it is served.
type asset struct {
	contentType string
	body        []byte
}

// loadAssets names each file by its content, larder.3f9a….css, so that it may
// be cached for ever.
func (p *Renderer) loadAssets(files fs.FS) error {
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
		sum := sha256.Sum256(body)
		ext := path.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), ext) + "." + hex.EncodeToString(sum[:8]) + ext
		p.assets[name] = asset{contentType: contentType(ext), body: body}
		switch entry.Name() {
		case "larder.css":
			p.style = staticPath + name
		case "larder.svg":
			p.icon = staticPath + name
		case "passkey.js":
			p.script = staticPath + name
		}
	}
	if p.style == "" || p.icon == "" || p.script == "" {
		return fmt.Errorf("the stylesheet, the icon or the script is missing from %d static files", len(entries))
	}
	return nil
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
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	p.setHSTS(h)
	_, err := w.Write(a.body)
	return err
}
