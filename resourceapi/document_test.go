package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/go-cmp/cmp"

	"larder/internal/web"
	"larder/resourceapi/authzen"
)

// described is the document, loaded and made into a router once for all tests.
var described = sync.OnceValues(func() (routers.Router, error) {
	loaded, err := servedDocument()
	if err != nil {
		return nil, err
	}
	if err := loaded.Validate(context.Background()); err != nil {
		return nil, err
	}
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.FileBodyDecoder)
	return gorillamux.NewRouter(loaded)
})

// servedDocument is the document as /openapi.json serves it.
func servedDocument() (*openapi3.T, error) {
	served, err := describe("https://id.example.com/families")
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(served)
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(raw)
}

// checkAgainstDocument holds an answer against what the document promises.
// Addresses that the API does not have are not in it.
func checkAgainstDocument(t testing.TB, r *http.Request, got reply) {
	t.Helper()
	if err := describedAnswer(r, got); err != nil {
		t.Errorf("%s %s answers %d against its description: %v", r.Method, r.URL.Path, got.status, err)
	}
}

func describedAnswer(r *http.Request, got reply) error {
	router, err := described()
	if err != nil {
		return err
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		if got.status < 400 {
			return err
		}
		return nil
	}
	answer := openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: route, PathParams: params},
		Status:                 got.status,
		Header:                 got.header,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
			MultiError: true, ExcludeResponseBody: len(got.body) == 0 || wordy(got.header),
			SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.EnableJSONSchema2020()},
		},
	}
	err = openapi3filter.ValidateResponse(r.Context(), answer.SetBodyBytes(got.body))
	if r.Method == http.MethodHead {
		return nil
	}
	return err
}

// wordy says that an answer is text which no schema describes.
func wordy(header http.Header) bool {
	media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return media == "text/event-stream" || media == "text/html"
}

// routes lists what the server routes, as "METHOD /path".
func (s *server) routes(t testing.TB) []string {
	t.Helper()
	rt := web.NewRouter(web.Problem)
	web.Health(rt, s.checks()...)
	s.gate.Mount(rt)
	mountDocument(rt, s.cfg.Issuer, s.policies)
	authzen.MountConfiguration(rt, s.cfg.Resource)
	var all []string
	for _, router := range []*web.Router{rt, s.api} {
		if err := router.Routes(func(method, path string) { all = append(all, method+" "+path) }); err != nil {
			t.Fatal(err)
		}
	}
	sort.Strings(all)
	return all
}

func TestEveryRouteIsDescribedAndEveryDescriptionRouted(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	answer := s.want(t, 200, caller{}, "GET", "/openapi.json", nil)
	loaded, err := openapi3.NewLoader().LoadFromData(answer.body)
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for path, item := range loaded.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	sort.Strings(described)
	if diff := cmp.Diff(described, s.routes(t)); diff != "" {
		t.Errorf("described (-) and routed (+):\n%s", diff)
	}
}

func takesKey(method, path string) bool {
	return strings.HasPrefix(path, "/v1/") && (method == "POST" || method == "PATCH") && !strings.HasSuffix(path, "/sync") && path != "/v1/erasures"
}

// TestTheDocumentIsWhole holds each operation to what a reader needs: a name, a
// summary, examples that fit the schemas, and problems for errors.
func TestTheDocumentIsWhole(t *testing.T) {
	t.Parallel()
	loaded, err := servedDocument()
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	fits := func(where string, content openapi3.Content) {
		for media, c := range content {
			if !strings.HasSuffix(media, "json") {
				continue
			}
			if c.Example == nil && len(c.Examples) == 0 {
				t.Errorf("%s: no example of %s", where, media)
			} else if c.Example != nil {
				if err := c.Schema.Value.VisitJSON(c.Example, openapi3.EnableJSONSchema2020()); err != nil {
					t.Errorf("%s: the example does not fit: %v", where, err)
				}
			}
		}
	}
	for path, item := range loaded.Paths.Map() {
		for method, o := range item.Operations() {
			where := method + " " + path
			if o.OperationID == "" || names[o.OperationID] || o.Summary == "" || len(o.Tags) == 0 {
				t.Errorf("%s: operationId %q, summary %q, tags %v", where, o.OperationID, o.Summary, o.Tags)
			}
			names[o.OperationID] = true
			if keyed := o.Parameters.GetByInAndName("header", "Idempotency-Key") != nil; keyed != takesKey(method, path) {
				t.Errorf("%s: takes an Idempotency-Key: %v", where, keyed)
			}
			if o.RequestBody != nil {
				fits(where, o.RequestBody.Value.Content)
			}
			for status, response := range o.Responses.Map() {
				fits(where+" "+status, response.Value.Content)
				if status >= "400" && response.Value.Content.Get("application/problem+json") == nil {
					t.Errorf("%s: %s is no problem", where, status)
				}
			}
		}
	}
	s := newService(t, nil)
	page, served := s.want(t, 200, caller{}, "GET", "/docs", nil), s.want(t, 200, caller{}, "GET", "/openapi.json", nil)
	for _, endpoint := range []string{"/authorize", "/token"} { // of the issuer, and not of the API
		at := s.cfg.Issuer + endpoint
		if !bytes.Contains(page.body, []byte(at+".")) || !bytes.Contains(served.body, []byte(`Url":"`+at+`"`)) {
			t.Errorf("%s is not told", at)
		}
	}
	for name := range names {
		if !bytes.Contains(page.body, []byte(`<article id="`+name+`"`)) {
			t.Errorf("%s is not on the page", name)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || bytes.Contains(page.body, []byte("<script")) {
		t.Errorf("the page has the policy %q", policy)
	}
}
