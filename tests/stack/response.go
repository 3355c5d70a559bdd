package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	requestLimit = 2 * time.Minute
	maxBody      = 4 << 20
)

// Response is an answer, read whole.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// String shows the answer in a test's message.
func (r *Response) String() string {
	return fmt.Sprintf("%d %s\n%s", r.Status, r.Header.Get("Content-Type"), r.Body)
}

// Find returns the member of the JSON body at a path such as .items.0.name as text: strings as they are, anything else
// as JSON. The path .length at the end of an array counts it.
func (r *Response) Find(path string) (string, error) {
	var at any
	if err := json.Unmarshal(r.Body, &at); err != nil {
		return "", fmt.Errorf("the body is not JSON: %w\n%s", err, r.Body)
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "."), ".") {
		switch value := at.(type) {
		case map[string]any:
			member, ok := value[name]
			if !ok {
				return "", fmt.Errorf("no %s in %s", path, r.Body)
			}
			at = member
		case []any:
			if name == "length" {
				at = float64(len(value))
				continue
			}
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(value) {
				return "", fmt.Errorf("no %s in %s", path, r.Body)
			}
			at = value[n]
		default:
			return "", fmt.Errorf("no %s in %s", path, r.Body)
		}
	}
	if text, ok := at.(string); ok {
		return text, nil
	}
	text, err := json.Marshal(at)
	return string(text), err
}

// Text is Find for a member that need not be there.
func (r *Response) Text(path string) string {
	text, err := r.Find(path)
	if err != nil {
		return ""
	}
	return text
}

// caller answers every request itself: redirects are shown, not followed.
func caller(jar http.CookieJar) *http.Client {
	return &http.Client{
		Jar: jar, Timeout: requestLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func send(ctx context.Context, method, target string, header http.Header, body io.Reader) (*Response, error) {
	return sendWith(ctx, caller(nil), method, target, header, body)
}

func sendWith(ctx context.Context, client *http.Client, method, target string, header http.Header, body io.Reader) (*Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: raw}, err
}

func postForm(ctx context.Context, target string, header http.Header, form url.Values) (*Response, error) {
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(ctx, http.MethodPost, target, header, strings.NewReader(form.Encode()))
}

// Call sends a request to the resource API: a path, or a whole URL. An empty credential sends none; a body is JSON.
// More headers come as name, value pairs.
func (s *Stack) Call(ctx context.Context, credential, method, path, body string, headers ...string) (*Response, error) {
	header := http.Header{}
	if credential != "" {
		header.Set("Authorization", "Bearer "+credential)
	}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	target := path
	if strings.HasPrefix(path, "/") {
		target = s.API + path
	}
	return send(ctx, method, target, header, strings.NewReader(body))
}
