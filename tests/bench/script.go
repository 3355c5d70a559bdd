package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// script is what one connection says. It has one of three kinds:
//
//	Requests           whole requests, in turn
//	Post with Token    refresh rotation: the form is sent with the newest refresh token
//	Post with Authorize  the code flow: GET Authorize, then the form with the code that came back
type script struct {
	Requests [][]byte
	// Post is the head of a POST request without Content-Length and the blank line; Form is its body but for the last
	// value.
	Post, Form []byte
	Token      string
	Authorize  []byte
	// SignIn says that the requests are sign-ins, which answer with a redirect. Every, if not 0, is how often one begins.
	SignIn bool
	Every  time.Duration

	turn       int
	turnedAway bool // by the last answer
	code       string
}

// request appends the next request to buf.
func (s *script) request(buf []byte) []byte {
	switch {
	case len(s.Requests) > 0:
		s.turn++
		return append(buf, s.Requests[s.turn%len(s.Requests)]...)
	case s.Token != "":
		return s.post(buf, s.Token)
	case s.code != "":
		return s.post(buf, s.code)
	default:
		return append(buf, s.Authorize...)
	}
}

func (s *script) post(buf []byte, value string) []byte {
	buf = append(buf, s.Post...)
	buf = append(buf, "Content-Length: "...)
	buf = strconv.AppendInt(buf, int64(len(s.Form)+len(value)), 10)
	buf = append(buf, "\r\n\r\n"...)
	buf = append(buf, s.Form...)
	return append(buf, value...)
}

// answered takes the answer in and reports whether the operation has another step.
func (s *script) answered(got *answer) (more bool, err error) {
	if s.Authorize != nil && s.code == "" {
		s.code, err = authorizationCode(got)
		return true, err
	}
	if s.SignIn {
		return false, s.signedIn(got)
	}
	if got.status < 200 || got.status > 299 {
		return false, refused(got)
	}
	s.code = ""
	if s.Token != "" {
		if s.Token, err = member(got.body, "refresh_token"); err != nil {
			return false, err
		}
	}
	return false, nil
}

func refused(got *answer) error {
	return fmt.Errorf("the answer is %d %s, not a 2xx:\n%s", got.status, http.StatusText(got.status), got.body)
}

func authorizationCode(got *answer) (string, error) {
	if got.status != http.StatusSeeOther && got.status != http.StatusFound {
		return "", refused(got)
	}
	at, err := url.Parse(string(got.location))
	if err != nil {
		return "", err
	}
	code := at.Query().Get("code")
	if code == "" {
		return "", errors.New("no code in " + at.String())
	}
	return code, nil
}

// member finds a string member without escapes, such as a token, faster than a parser.
func member(body []byte, name string) (string, error) {
	_, rest, found := bytes.Cut(body, []byte(`"`+name+`":"`))
	value, _, ended := bytes.Cut(rest, []byte(`"`))
	if !found || !ended {
		return "", fmt.Errorf("no %s in %s", name, body)
	}
	return string(value), nil
}

// get writes a GET request; headers are whole lines.
func get(host, target string, headers ...string) []byte {
	return message(http.MethodGet, host, target, "", headers...)
}

func message(method, host, target, body string, headers ...string) []byte {
	raw := head(method, host, target, headers...)
	if body != "" || method == http.MethodPost {
		raw = fmt.Appendf(raw, "Content-Length: %d\r\n", len(body))
	}
	return fmt.Appendf(raw, "\r\n%s", body)
}

func head(method, host, target string, headers ...string) []byte {
	raw := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	for _, line := range headers {
		raw = fmt.Appendf(raw, "%s\r\n", line)
	}
	return raw
}
