package main

import (
	"context"
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
	served, err := documentJSON()
	if err != nil {
		return nil, err
	}
	loaded, err := openapi3.NewLoader().LoadFromData(served)
	if err != nil {
		return nil, err
	}
	if err := loaded.Validate(context.Background()); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(loaded)
})

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
			MultiError: true, ExcludeResponseBody: len(got.body) == 0 || strings.HasPrefix(got.header.Get("Content-Type"), "text/event-stream"),
			SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.EnableJSONSchema2020()},
		},
	}
	err = openapi3filter.ValidateResponse(r.Context(), answer.SetBodyBytes(got.body))
	if r.Method == http.MethodHead {
		return nil
	}
	return err
}

// routes lists what the server routes, as "METHOD /path".
func (s *server) routes(t testing.TB) []string {
	t.Helper()
	rt := web.NewRouter(web.Problem)
	web.Health(rt, s.checks()...)
	s.gate.Mount(rt)
	if err := mountDocument(rt); err != nil {
		t.Fatal(err)
	}
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
