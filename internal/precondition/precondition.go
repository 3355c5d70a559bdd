package precondition

import (
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"larder/internal/fault"
)

// SetETag names the version that the answer shows. Tags are strong: a row of
// one version always looks the same, beside what depends on who looks.
func SetETag(w http.ResponseWriter, version int64, beside ...string) {
	w.Header().Set("ETag", tag(version, beside))
}

// Check fails with fault.PreconditionFailed if the request has an If-Match that
// does not name version.
func Check(r *http.Request, version int64) error {
	named := func(candidate string) bool {
		if v, _, ok := strings.Cut(candidate, "."); ok { // what stood beside the row is not what is changed
			candidate = v + `"`
		}
		return candidate == tag(version, nil)
	}
	if len(r.Header.Values("If-Match")) == 0 || listed(r, "If-Match", named) {
		return nil
	}
	return fault.New(fault.PreconditionFailed, "It has changed since you read it. Read it again, then decide.").WithCode("stale")
}

// Require is Check for requests that must have an If-Match.
func Require(r *http.Request, version int64) error {
	if len(r.Header.Values("If-Match")) == 0 {
		return fault.New(fault.PreconditionNeeded, "Send the ETag of what you read in If-Match.").WithCode("if_match_required")
	}
	return Check(r, version)
}

// NotModified answers 304 and reports true if the caller has version already,
// and beside it what he would get now.
func NotModified(w http.ResponseWriter, r *http.Request, version int64, beside ...string) bool {
	SetETag(w, version, beside...)
	want := w.Header().Get("ETag")
	weakly := func(candidate string) bool { return strings.TrimPrefix(candidate, "W/") == want } // RFC 9110 §13.1.2
	if !listed(r, "If-None-Match", weakly) {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}

func tag(version int64, beside []string) string {
	text := strconv.FormatInt(version, 10)
	if len(beside) > 0 {
		sum := fnv.New64a()
		for _, word := range beside {
			_, _ = sum.Write(append([]byte(word), 0)) // it never fails
		}
		text += "." + strconv.FormatUint(sum.Sum64(), 36)
	}
	return `"` + text + `"`
}

func listed(r *http.Request, header string, matches func(candidate string) bool) bool {
	for _, line := range r.Header.Values(header) {
		for candidate := range strings.SplitSeq(line, ",") {
			if candidate = strings.TrimSpace(candidate); candidate == "*" || matches(candidate) {
				return true
			}
		}
	}
	return false
}
