package main

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"larder/internal/fault"
	"larder/internal/web"
	"larder/resourceapi/policy"
	"larder/resourceapi/reference"
)

// document is the description of the API, kept by hand. Tests hold it against
// the routes and against what they answer.
//
//go:embed openapi.yaml
var document []byte

// published is the document as programs read it, and as people do, and what the
// codes of problems mean.
type published struct {
	json     []byte
	page     *reference.Page
	problems map[string]string
}

// mountDocument serves the document as JSON and as a page to read, and a page for
// each problem. All are made for whoever first asks: the start has no time for
// them. What a policy means, whose id is a code too, policies tell.
func mountDocument(rt *web.Router, issuer string, policies *policy.Engine) {
	publish := sync.OnceValues(func() (published, error) {
		described, err := describe(issuer)
		if err != nil {
			return published{}, err
		}
		body, err := json.Marshal(described)
		return published{body, described.Render(), described.Problems()}, err
	})
	rt.Handle(http.MethodGet, "/openapi.json", func(w http.ResponseWriter, _ *http.Request) error {
		p, err := publish()
		if err != nil {
			return err
		}
		return public(w, "application/json", p.json)
	})
	rt.Handle(http.MethodGet, "/docs", func(w http.ResponseWriter, _ *http.Request) error {
		p, err := publish()
		if err != nil {
			return err
		}
		return readable(w, p.page)
	})
	rt.Handle(http.MethodGet, "/problems/{code}", func(w http.ResponseWriter, r *http.Request) error {
		p, err := publish()
		if err != nil {
			return err
		}
		code := web.Var(r, "code")
		meaning := cmp.Or(p.problems[code], policies.Meaning(code))
		if meaning == "" {
			return fault.New(fault.NotFound, "There is no such problem here.")
		}
		return readable(w, reference.Problem(code, meaning))
	})
}

func readable(w http.ResponseWriter, page *reference.Page) error {
	w.Header().Set("Content-Security-Policy", page.Policy)
	return public(w, "text/html; charset=utf-8", page.HTML)
}

// public answers with what is the same for everybody.
func public(w http.ResponseWriter, media string, body []byte) error {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, err := w.Write(body) //nolint:gosec // of a request only the code of a problem is in it, which is known and escaped
	return err
}

// describe returns the document with the endpoints of the issuer, with what holds
// for every operation below /v1 written into each, so that nobody has to repeat
// it, and with examples.
func describe(issuer string) (reference.Document, error) {
	var v map[string]any
	if err := yaml.Unmarshal(document, &v); err != nil {
		return nil, err
	}
	paths, _ := v["paths"].(map[string]any)
	for path, item := range paths {
		operations, _ := item.(map[string]any)
		for method, operation := range operations {
			if op, ok := operation.(map[string]any); ok && path != "/healthz" && path != "/readyz" {
				describeConventions(method, path, op)
			}
		}
	}
	described := reference.Document(v)
	described.SetIssuer(issuer)
	described.Complete()
	return described, nil
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
	answer("414")
	answer("431")
	for status, response := range responses {
		if shown, ok := response.(map[string]any); ok && status < "300" {
			headers, _ := shown["headers"].(map[string]any)
			if headers == nil {
				headers = make(map[string]any)
				shown["headers"] = headers
			}
			headers["RateLimit"] = map[string]any{"$ref": "#/components/headers/RateLimit"}
			headers["RateLimit-Policy"] = map[string]any{"$ref": "#/components/headers/RateLimitPolicy"}
		}
	}
	if method != "post" && method != "patch" || !strings.HasPrefix(path, "/v1/") || strings.HasSuffix(path, "/sync") || path == "/v1/erasures" {
		return
	}
	answer("409")
	answer("422")
	parameters, _ := operation["parameters"].([]any)
	operation["parameters"] = append(parameters, map[string]any{"$ref": "#/components/parameters/idempotency_key"})
}
