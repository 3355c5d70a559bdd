package quota

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/web"
	"larder/resourceapi/bearer"
)

// Window is what quotas are for.
const Window = time.Minute

// Quotas counts requests.
type Quotas struct {
	Leases *limit.Leases
	Report web.ErrorWriter
	// How many requests in a Window; 0 counts none.
	Principal, Family, Address int
}

// meter is what one request has been counted against.
type meter struct {
	header    http.Header
	principal string
	family    id.ID
}

type meterKey struct{}

// Wrap counts what a caller, who is in the request's context, asks of next.
func (q *Quotas) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, m := r.Context(), &meter{header: w.Header()}
		if caller := bearer.From(ctx); caller != nil {
			who := caller.Subject
			if who == "" {
				who = caller.ClientID
			}
			m.principal = string(caller.Kind) + ":" + who
			if err := q.take(ctx, w.Header(), "principal", m.principal, q.Principal); err != nil {
				q.Report(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, meterKey{}, m)))
	})
}

// Enter counts the request against the quota of a family that its caller was
// found to stand in, once for each request.
func (q *Quotas) Enter(ctx context.Context, family id.ID) error {
	m, ok := ctx.Value(meterKey{}).(*meter)
	if !ok || m.family == family {
		return nil
	}
	m.family = family
	return q.take(ctx, m.header, "family", family.String(), q.Family)
}

// More counts what a request that was counted does besides, as a request of its
// own by the same caller in the same family.
func (q *Quotas) More(ctx context.Context) error {
	m, ok := ctx.Value(meterKey{}).(*meter)
	if !ok {
		return nil
	}
	if err := q.take(ctx, m.header, "principal", m.principal, q.Principal); err != nil {
		return err
	}
	return q.take(ctx, m.header, "family", m.family.String(), q.Family)
}

// Refused counts a request whose credential was not taken, and returns the
// error to answer with: err, unless there were too many.
func (q *Quotas) Refused(w http.ResponseWriter, r *http.Request, err error) error {
	if !fault.Is(err, fault.Unauthenticated) {
		return err
	}
	if over := q.take(r.Context(), w.Header(), "address", limit.Source(r), q.Address); over != nil {
		return over
	}
	return err
}

// Documents counts what is asked of next outside of the gate, where anybody may
// read. Health checks go through.
func (q *Quotas) Documents(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.Path; strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/access/") || path == "/healthz" || path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		if err := q.take(r.Context(), w.Header(), "address", limit.Source(r), q.Address); err != nil {
			q.Report(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (q *Quotas) take(ctx context.Context, header http.Header, policy, of string, quota int) error {
	if quota == 0 {
		return nil
	}
	s := q.Leases.Take(ctx, policy+":"+of, limit.Quota{Limit: quota, Window: Window})
	tell(header, "Ratelimit-Policy", policy, `q=`+strconv.Itoa(quota)+`;w=`+strconv.Itoa(int(Window.Seconds())))
	tell(header, "Ratelimit", policy, `r=`+strconv.Itoa(s.Remaining)+`;t=`+strconv.Itoa(int(math.Ceil(s.Reset.Seconds()))))
	if s.Wait <= 0 {
		return nil
	}
	err := limit.Exceeded(s.Wait)
	err.Message = "The quota of this " + policy + " is used up."
	return err.WithCode("quota_" + policy)
}

// tell says something of the policy, in place of what was said of it before.
func tell(header http.Header, name, policy, what string) {
	mark := `"` + policy + `";`
	others := slices.DeleteFunc(header.Values(name), func(said string) bool { return strings.HasPrefix(said, mark) })
	header[name] = append(others, mark+what)
}
