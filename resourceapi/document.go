package main

import (
	_ "embed"
	"encoding/json"
	"net/http"

	"go.yaml.in/yaml/v3"

	"larder/internal/web"
)

// document is the description of the API, kept by hand. Tests hold it against
// the routes and against what they answer.
//
//go:embed openapi.yaml
var document []byte

// mountDocument serves the document as JSON.
func mountDocument(rt *web.Router) error {
	body, err := documentJSON()
	if err != nil {
		return err
	}
	rt.Handle(http.MethodGet, "/openapi.json", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, err := w.Write(body)
		return err
	})
	return nil
}

func documentJSON() ([]byte, error) {
	var v map[string]any
	if err := yaml.Unmarshal(document, &v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}
