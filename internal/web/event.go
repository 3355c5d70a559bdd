package web

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/fault"
)

// RequestIDHeader carries the request's id in and out.
const RequestIDHeader = "X-Request-Id"

// event is what one request will log. Handlers add to it with Annotate; it is
// used by the request's own goroutine only. It is also the request's context
// and its response writer, so that a request takes one allocation for all three.
type event struct {
	context.Context //nolint:containedctx // it is the context

	recorder

	id    string
	trace string
	route string
	quiet bool
	attrs []slog.Attr
	err   error
}

type eventKey struct{}

// Value implements context.Context.
func (ev *event) Value(key any) any {
	if key == (eventKey{}) {
		return ev
	}
	return ev.Context.Value(key)
}

func eventFrom(ctx context.Context) *event {
	ev, _ := ctx.Value(eventKey{}).(*event)
	return ev
}

// Annotate adds attributes to the request's one log event.
func Annotate(ctx context.Context, attrs ...slog.Attr) {
	if ev := eventFrom(ctx); ev != nil {
		ev.attrs = append(ev.attrs, attrs...)
	}
}

// Routine marks the request as one that machines repeat all day, such as a
// health check: as long as it succeeds its event is for debugging.
func Routine(ctx context.Context) {
	if ev := eventFrom(ctx); ev != nil {
		ev.quiet = true
	}
}

// RequestID returns the id of the request that ctx belongs to, "" outside one.
func RequestID(ctx context.Context) string {
	if ev := eventFrom(ctx); ev != nil {
		return ev.id
	}
	return ""
}

// Detached returns a context for what goes on after the request of ctx has been
// answered: it has the request's id, ends with nothing, and holds nothing of the
// request or its connection.
func Detached(ctx context.Context) context.Context {
	return context.WithValue(context.Background(), eventKey{}, &event{Context: context.Background(), id: RequestID(ctx)})
}

func note(ctx context.Context, err error) {
	if ev := eventFrom(ctx); ev != nil {
		ev.err = err
	}
}

// Observer gives each request an id, and when it is over a log event and its
// place in the metrics. A panic becomes a bare 500 through Report.
type Observer struct {
	Log    *slog.Logger
	Now    func() time.Time
	Report ErrorWriter

	duration *prometheus.HistogramVec
	seen     sync.Map // served -> prometheus.Observer: as bounded as the labels, and found faster
}

// served are the labels of a request.
type served struct {
	route, method string
	status        int
}

// Wrap returns h observed; the histogram is registered with reg, or is the one
// that the observer of another listener registered there.
func (o *Observer) Wrap(h http.Handler, reg prometheus.Registerer) http.Handler {
	o.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "http_request_duration_seconds",
		Help:    "Time to answer a request, by route, method and status.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"route", "method", "status"})
	if err := reg.Register(o.duration); err != nil {
		already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err)
		if !ok {
			panic(err) // as MustRegister does: the name is a constant
		}
		o.duration, _ = already.ExistingCollector.(*prometheus.HistogramVec)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.serve(h, w, r) })
}

func (o *Observer) serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	start := o.Now()
	ev := &event{
		Context: r.Context(), recorder: recorder{ResponseWriter: w},
		id: r.Header.Get(RequestIDHeader), trace: traceID(r.Header.Get("Traceparent")),
	}
	if !plainID(ev.id) {
		ev.id = newRequestID()
	}
	w.Header().Set(RequestIDHeader, ev.id)
	rec := &ev.recorder
	r = r.WithContext(ev) //nolint:contextcheck // it is made of the request's own
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // the sentinel is compared as net/http does
				panic(p)
			}
			ev.err = fault.New(fault.Internal, "panic")
			ev.attrs = append(ev.attrs, slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			if rec.status == 0 {
				o.Report(rec, r, ev.err)
			}
		}
		o.log(r, rec, ev, o.Now().Sub(start))
	}()
	h.ServeHTTP(rec, r)
}

func (o *Observer) log(r *http.Request, rec *recorder, ev *event, took time.Duration) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK
	}
	route := ev.route
	if route == "" {
		route = "none"
	}
	method := r.Method
	if ev.route == "" { // anybody may make methods up
		method = "any"
	}
	o.observe(served{route, method, status}, took)

	level := slog.LevelInfo
	switch {
	case ev.quiet && status == http.StatusServiceUnavailable: // such as not ready yet
		level = slog.LevelWarn
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	case ev.quiet && status < http.StatusBadRequest:
		level = slog.LevelDebug
	}
	if !o.Log.Enabled(r.Context(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 10+len(ev.attrs))
	attrs = append(attrs,
		slog.String("request_id", ev.id),
		slog.String("method", r.Method),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Int64("bytes", rec.bytes),
		slog.Duration("took", took),
	)
	if ev.trace != "" {
		attrs = append(attrs, slog.String("trace_id", ev.trace))
	}
	if ev.err != nil {
		attrs = append(attrs, slog.String("error", ev.err.Error()))
	}
	o.Log.LogAttrs(r.Context(), level, "request", append(attrs, ev.attrs...)...)
}

func (o *Observer) observe(s served, took time.Duration) {
	found, ok := o.seen.Load(s)
	if !ok {
		found = o.duration.WithLabelValues(s.route, s.method, strconv.Itoa(s.status))
		o.seen.Store(s, found)
	}
	if in, ok := found.(prometheus.Observer); ok {
		in.Observe(took.Seconds())
	}
}

// newRequestID returns 128 random bits. They tell requests apart and open
// nothing, so that they need not be secret.
func newRequestID() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], rand.Uint64())  //nolint:gosec // see above
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64()) //nolint:gosec // see above
	return hex.EncodeToString(b[:])
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// plainID reports whether a caller's request id may stand in our log.
func plainID(s string) bool {
	if len(s) < 8 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// traceID reads the trace id out of a W3C traceparent header.
func traceID(h string) string {
	const length = 55 // version-traceid-spanid-flags
	if len(h) != length || h[2] != '-' || h[35] != '-' || !plainID(h[3:35]) {
		return ""
	}
	return h[3:35]
}
