package web

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"larder/internal/fault"
)

// Handler answers a request or says why it cannot. It must not have written
// anything when it returns an error.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ErrorWriter answers a request that failed, in the vocabulary of its surface.
type ErrorWriter func(w http.ResponseWriter, r *http.Request, err error)

// Router is the little that Larder uses of gorilla/mux: exact methods, path
// variables, and an error writer per surface.
type Router struct {
	mux    *mux.Router
	fixed  map[endpoint]http.HandlerFunc
	spoken map[string]ErrorWriter // what speaks at a fixed path, so that a wrong method is refused in its words
	report ErrorWriter
}

// endpoint is a route without variables, which a map finds faster than mux,
// whose search grows with the number of routes.
type endpoint struct{ method, path string }

// NewRouter returns an empty router; report answers failed requests, unknown
// paths and wrong methods.
func NewRouter(report ErrorWriter) *Router {
	wrongMethod := fault.New(fault.MethodNotAllowed, "This address does not take this method.")
	spoken := make(map[string]ErrorWriter)
	// An address is taken as it is written: cleaned up, it would be another, and
	// a redirect there would turn a DELETE into a GET.
	m := mux.NewRouter().UseEncodedPath().SkipClean(true)
	m.NotFoundHandler = failing(report, fault.New(fault.NotFound, "There is nothing at this address."))
	m.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(allowed(m, r), ", ")) // RFC 9110 §15.5.6
		speak := report
		if own, ok := spoken[r.URL.EscapedPath()]; ok {
			speak = own
		}
		failing(speak, wrongMethod).ServeHTTP(w, r)
	})
	return &Router{mux: m, fixed: make(map[endpoint]http.HandlerFunc), spoken: spoken, report: report}
}

// With returns a router over the same paths that reports errors its own way.
func (rt *Router) With(report ErrorWriter) *Router {
	return &Router{mux: rt.mux, fixed: rt.fixed, spoken: rt.spoken, report: report}
}

// Handle serves one method on one path. GET also serves HEAD. Path variables
// are written {name} and read by Var.
func (rt *Router) Handle(method, path string, h Handler) {
	methods := []string{method}
	if method == http.MethodGet {
		methods = append(methods, http.MethodHead)
	}
	serve := func(w http.ResponseWriter, r *http.Request) {
		if ev := eventFrom(r.Context()); ev != nil {
			ev.route = path
		}
		if err := h(w, r); err != nil {
			rt.fail(w, r, err)
		}
	}
	// The path comes first: mux forgets a mismatched method as soon as a later
	// route matches by its method, and would answer 404 instead of 405.
	rt.mux.Path(path).Methods(methods...).HandlerFunc(serve)
	if !strings.Contains(path, "{") {
		rt.spoken[path] = rt.report
		for _, m := range methods {
			rt.fixed[endpoint{m, path}] = serve
		}
	}
}

// HandlePrefix serves every method below a path with a plain handler.
func (rt *Router) HandlePrefix(prefix string, h http.Handler) {
	rt.mux.PathPrefix(prefix).Handler(h)
}

// ServeHTTP implements http.Handler.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if serve, ok := rt.fixed[endpoint{r.Method, r.URL.EscapedPath()}]; ok {
		serve(w, r)
		return
	}
	rt.mux.ServeHTTP(w, r)
}

// Routes calls f with the method and path of every route that Handle added.
func (rt *Router) Routes(f func(method, path string)) error {
	return rt.mux.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		if err != nil {
			return nil //nolint:nilerr // a prefix mount has no methods and is not a route of the API
		}
		f(methods[0], path)
		return nil
	})
}

func (rt *Router) fail(w http.ResponseWriter, r *http.Request, err error) {
	note(r.Context(), err)
	rt.report(w, r, err)
}

// Var returns a path variable, "" if the route has none of that name.
func Var(r *http.Request, name string) string { return mux.Vars(r)[name] }

// allowed lists the methods that the path of r does take.
func allowed(m *mux.Router, r *http.Request) []string {
	var methods []string
	for _, method := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	} {
		probe := *r
		probe.Method = method
		var match mux.RouteMatch
		if m.Match(&probe, &match) && match.MatchErr == nil {
			methods = append(methods, method)
		}
	}
	return methods
}

func failing(report ErrorWriter, err error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(r.Context(), err)
		report(w, r, err)
	})
}
