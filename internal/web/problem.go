package web

import (
	"encoding/json"
	"net/http"
	"strconv"

	"larder/internal/fault"
)

// problem is the body of RFC 9457 §3.1.
type problem struct {
	Type     string        `json:"type"`
	Title    string        `json:"title"`
	Status   int           `json:"status"`
	Detail   string        `json:"detail,omitempty"`
	Instance string        `json:"instance,omitempty"`
	Code     string        `json:"code,omitempty"`
	Errors   []fault.Field `json:"errors,omitempty"`
	*fault.Refusal
}

// Problem answers with application/problem+json (RFC 9457). Its type is
// /problems/ and the error's code, or about:blank.
func Problem(w http.ResponseWriter, r *http.Request, err error) {
	status := Status(err)
	p := problem{Type: "about:blank", Title: http.StatusText(status), Status: status}
	if rid := RequestID(r.Context()); rid != "" {
		p.Instance = "urn:request:" + rid
	}
	if e, ok := Shown(err); ok {
		p.Detail, p.Code, p.Errors, p.Refusal = e.Message, e.Code, e.Fields, e.Refusal
		if e.Code != "" {
			p.Type = "/problems/" + e.Code
		}
	}
	SetRetryAfter(w, err)
	body, encErr := json.Marshal(p)
	if encErr != nil {
		note(r.Context(), encErr)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// JSON answers 2xx with v; an encoding failure is returned unsent.
func JSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return Encoded(w, status, body)
}

// Encoded answers 2xx with what is JSON already. It says how long that is: without, net/http sends whatever is over
// two kilobytes in chunks, which takes a write more.
func Encoded(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}
