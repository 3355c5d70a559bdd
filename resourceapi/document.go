package main

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"strings"

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

// documentJSON returns the document with what holds for every operation but
// health checks written into each, so that nobody has to repeat it.
func documentJSON() ([]byte, error) {
	var v struct {
		Rest  map[string]any            `yaml:",inline"`
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(document, &v); err != nil {
		return nil, err
	}
	for path, item := range v.Paths {
		for method, operation := range item {
			if op, ok := operation.(map[string]any); ok && path != "/healthz" && path != "/readyz" {
				describeConventions(method, path, op)
			}
		}
	}
	v.Rest["paths"] = v.Paths
	return json.Marshal(v.Rest)
}

// describeConventions adds to an operation what all of its kind have.
func describeConventions(method, path string, operation map[string]any) {
	responses, ok := operation["responses"].(map[string]any)
	if !ok {
		return
	}
	answer := func(status string) {
		if _, own := responses[status]; !own {
			responses[status] = map[string]any{"$ref": "#/components/responses/E" + status}
		}
	}
	answer("429")
	if method != "post" && method != "patch" || strings.HasSuffix(path, "/sync") {
		return
	}
	answer("409")
	answer("422")
	parameters, _ := operation["parameters"].([]any)
	operation["parameters"] = append(parameters, map[string]any{"$ref": "#/components/parameters/idempotency_key"})
}
