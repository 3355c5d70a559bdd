package precondition

import (
	"net/http"
	"strconv"
	"strings"

	"larder/internal/fault"
)

// SetETag names the version that the answer shows. Tags are strong: a row of
// one version always looks the same.
func SetETag(w http.ResponseWriter, version int64) {
	w.Header().Set("ETag", tag(version))
}

// Check fails with fault.PreconditionFailed if the request has an If-Match that
// does not name version.
func Check(r *http.Request, version int64) error {
	if len(r.Header.Values("If-Match")) == 0 || listed(r, "If-Match", version) {
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

// NotModified answers 304 and reports true if the caller has version already.
func NotModified(w http.ResponseWriter, r *http.Request, version int64) bool {
	SetETag(w, version)
	if !listed(r, "If-None-Match", version) {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}

func tag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

func listed(r *http.Request, header string, version int64) bool {
	want := tag(version)
	for _, line := range r.Header.Values(header) {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == want || candidate == "*" {
				return true
			}
			if header == "If-None-Match" && candidate == "W/"+want { // weak comparison, RFC 9110 §13.1.2
				return true
			}
		}
	}
	return false
}
