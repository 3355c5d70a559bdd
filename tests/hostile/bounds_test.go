package hostile_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

const (
	atOnce = 4
	// mayGrow is what a service may take more from the system at most; each attack sends several times as much.
	mayGrow  = 192 << 20
	patience = 3 * time.Minute
	scope    = "openid offline_access family:read family:write lists:read lists:write"
)

// attack is one request that no client means: a head, and a body that may be larger than memory.
type attack struct {
	name, base, method, path, kind string
	header                         string // further lines
	length                         int64
	body                           func() io.Reader
}

func repeat(what string, times int) func() io.Reader {
	return func() io.Reader { return strings.NewReader(strings.Repeat(what, times)) }
}

// endless is a body that is made while it is sent.
func endless(n int64) func() io.Reader {
	return func() io.Reader { return io.LimitReader(filler{}, n) }
}

type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestNoRequestTakesMoreThanItsShare(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	tokens, err := s.Client(s.Demo.Clients.Web).Authorize(t.Context(), s.NewBrowser(), s.User(t, demo.Admin), scope, url.Values{"resource": {s.API}})
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Authorization: Bearer " + tokens.AccessToken + "\r\n"
	auth, api := s.AuthServers[0], s.ResourceAPIs[0]
	family := "/v1/families/" + s.Demo.FamilyID
	items := family + "/lists/" + s.Demo.Lists[0].ID + "/items"
	const form, json = "application/x-www-form-urlencoded", "application/json"
	const huge, deep, many = 100 << 20, 100_000, 1_000_000
	bomb := zeros(t, 64<<20)
	zipped := func() io.Reader { return bytes.NewReader(bomb) }
	nested := repeat("[", deep)
	attacks := []attack{
		{name: "a deep form", base: auth.URL, method: "POST", path: "/token", kind: form, length: deep, body: nested},
		{name: "a bomb of a form", base: auth.URL, method: "POST", path: "/token", kind: form, header: "Content-Encoding: gzip\r\n", length: int64(len(bomb)), body: zipped},
		{name: "a million parameters at /token", base: auth.URL, method: "POST", path: "/token", kind: form, length: 4 * many, body: repeat("a=b&", many)},
		{name: "ten thousand parameters at /token", base: auth.URL, method: "POST", path: "/token", kind: form, length: 40_000, body: repeat("a=b&", 10_000)},
		{name: "a million parameters at /authorize", base: auth.URL, method: "GET", path: "/authorize?" + strings.Repeat("a=b&", many)},
		{name: "deep registration", base: auth.URL, method: "POST", path: "/connect/register", kind: json, length: deep, body: nested},
		{name: "a million parameters at the API", base: api.URL, method: "GET", path: family + "/lists?" + strings.Repeat("a=b&", many), header: bearer},
		{name: "ten thousand cookies at the API", base: api.URL, method: "GET", path: "/v1/families", header: "Cookie: " + strings.Repeat("a=b; ", 10_000) + "\r\n"},
		{name: "a million cookies", base: auth.URL, method: "GET", path: "/account", header: "Cookie: " + strings.Repeat("a=b; ", many) + "\r\n"},
		{name: "a bomb of an import", base: api.URL, method: "POST", path: family + "/import", kind: json, header: bearer + "Content-Encoding: gzip\r\n", length: int64(len(bomb)), body: zipped},
		{name: "an endless header", base: api.URL, method: "GET", path: "/v1/families", header: "X: " + strings.Repeat("x", 8<<20) + "\r\n"},
	}
	for _, at := range []struct{ base, path, kind string }{
		{auth.URL, "/token", form},
		{auth.URL, "/login", form},
		{auth.URL, "/par", form},
		{auth.URL, "/connect/register", json},
		{api.URL, items, json},
		{api.URL, family + "/import", json},
		{api.URL, family + "/import", "text/csv"},
	} {
		attacks = append(attacks, attack{name: "100 MB to " + at.path, base: at.base, method: "POST", path: at.path, kind: at.kind, header: bearer, length: huge, body: endless(huge)},
			attack{name: "100 MB in chunks to " + at.path, base: at.base, method: "POST", path: at.path, kind: at.kind, header: bearer, length: -1, body: endless(huge)})
	}
	for _, path := range []string{items, family + "/sync", family + "/import", family + "/recipes", family + "/webhooks", "/access/v1/evaluation", "/access/v1/evaluations"} {
		for _, open := range []string{"[", `{"a":`} {
			attacks = append(attacks, attack{
				name: "deep " + open + " to " + path, base: api.URL, method: "POST", path: path, kind: json, header: bearer,
				length: int64(deep * len(open)), body: repeat(open, deep),
			})
		}
	}
	before := map[*stack.Service]float64{auth: taken(t, auth), api: taken(t, api)}
	for _, a := range attacks {
		var (
			group   sync.WaitGroup
			refused atomic.Int64
		)
		for range atOnce {
			group.Go(func() {
				switch status, again, err := a.send(t.Context()); {
				case err == nil && 400 <= status && status <= 499:
					refused.Add(1)
				case err != nil || status != http.StatusServiceUnavailable || again == "": // too many of its kind at once
					t.Errorf("%s: %d, %v", a.name, status, err)
				}
			})
		}
		group.Wait()
		if refused.Load() == 0 {
			t.Errorf("%s: nobody was refused", a.name)
		}
	}
	for service, was := range before {
		grown := taken(t, service) - was
		t.Logf("%s took %.0f MiB more", service.Name, grown/(1<<20))
		if grown > mayGrow {
			t.Errorf("that is more than %d MiB", mayGrow>>20)
		}
		if got, err := s.Call(t.Context(), "", http.MethodGet, service.URL+"/readyz", ""); err != nil || got.Status != http.StatusOK {
			t.Errorf("%s afterwards: %v, %v", service.Name, got, err)
		}
	}
}

// send writes and reads at the same time, since an answer may come long before the end of the body.
func (a attack) send(ctx context.Context) (status int, retryAfter string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	host := strings.TrimPrefix(a.base, "http://")
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return 0, "", err
		}
	}
	go a.write(conn, host)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Retry-After"), nil
}

// write ends early where the service has had enough.
func (a attack) write(conn net.Conn, host string) {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s", a.method, a.path, host, a.header)
	if a.kind != "" {
		head += "Content-Type: " + a.kind + "\r\n"
	}
	switch {
	case a.body == nil:
		_, _ = io.WriteString(conn, head+"\r\n")
	case a.length < 0:
		_, _ = io.WriteString(conn, head+"Transfer-Encoding: chunked\r\n\r\n")
		const chunk = 1 << 20
		part := strings.Repeat("x", chunk)
		for range (100 << 20) / chunk {
			if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", chunk, part); err != nil {
				return
			}
		}
		_, _ = io.WriteString(conn, "0\r\n\r\n")
	default:
		_, _ = fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n", head, a.length)
		_, _ = io.Copy(conn, a.body())
	}
}

// zeros is so many bytes in a few.
func zeros(t *testing.T, n int64) []byte {
	t.Helper()
	var small bytes.Buffer
	zip := gzip.NewWriter(&small)
	if _, err := io.Copy(zip, io.LimitReader(filler{}, n)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return small.Bytes()
}

// taken is how many bytes the service ever took from the system: they are kept, so no peak is missed.
func taken(t *testing.T, s *stack.Service) float64 {
	t.Helper()
	resp, err := (&stack.Stack{}).Call(t.Context(), "", http.MethodGet, s.Internal+"/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^go_memstats_sys_bytes (\S+)$`).FindSubmatch(resp.Body)
	if found == nil {
		t.Fatalf("%s tells no go_memstats_sys_bytes", s.Name)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
