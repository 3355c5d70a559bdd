package precondition_test

import (
	"net/http/httptest"
	"testing"

	"larder/internal/fault"
	"larder/internal/precondition"
)

func TestIfMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		header         []string
		check, require fault.Kind
		ok             bool
	}{
		{header: []string{`"7"`}, ok: true},
		{header: []string{`"6", "7"`}, ok: true},
		{header: []string{`"6"`, `"7"`}, ok: true},
		{header: []string{`*`}, ok: true},
		{header: []string{`"7.1x2y"`}, ok: true}, // of an answer that showed more than the row
		{header: []string{`"6.7"`}, check: fault.PreconditionFailed},
		{header: []string{`"6"`}, check: fault.PreconditionFailed},
		{header: []string{`W/"7"`}, check: fault.PreconditionFailed}, // strong comparison, RFC 9110 §13.1.1
		{header: []string{`7`}, check: fault.PreconditionFailed},
		{header: []string{``}, check: fault.PreconditionFailed},
	} {
		r := httptest.NewRequest("DELETE", "/", nil)
		r.Header["If-Match"] = test.header
		for name, err := range map[string]error{"Check": precondition.Check(r, 7), "Require": precondition.Require(r, 7)} {
			if test.ok != (err == nil) || !test.ok && fault.KindOf(err) != test.check {
				t.Errorf("%s with If-Match %q: got %v", name, test.header, err)
			}
		}
	}
	bare := httptest.NewRequest("DELETE", "/", nil)
	if err := precondition.Check(bare, 7); err != nil {
		t.Errorf("Check without If-Match: %v", err)
	}
	if err := precondition.Require(bare, 7); !fault.Is(err, fault.PreconditionNeeded) {
		t.Errorf("Require without If-Match: %v", err)
	}
}

func TestNotModified(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	precondition.SetETag(w, 7, "edit", "check")
	tag := w.Header().Get("ETag")
	for header, beside := range map[string][]string{tag: {"edit"}, `"7"`: {"edit", "check"}, `"7.0"`: {"editcheck"}} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("If-None-Match", header)
		if precondition.NotModified(w, r, 7, beside...) {
			t.Errorf("%s stands for version 7 beside %v", header, beside)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("If-None-Match", tag)
	if !precondition.NotModified(httptest.NewRecorder(), r, 7, "edit", "check") {
		t.Errorf("%s is not known again", tag)
	}
	for header, want := range map[string]int{`"7"`: 304, `W/"7"`: 304, `"8"`: 200, "": 200} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("If-None-Match", header)
		precondition.NotModified(w, r, 7)
		if w.Code != want || w.Header().Get("ETag") != `"7"` {
			t.Errorf("If-None-Match %q: got %d %s, want %d", header, w.Code, w.Header().Get("ETag"), want)
		}
	}
}
