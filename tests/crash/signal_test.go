package crash_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"larder/tests/stack"
)

// A service drains for as long as a request is under way, unless whoever stops
// it insists.
func TestASecondSignalEndsADrainAtOnce(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	for service, head := range map[*stack.Service]string{
		s.AuthServers[0]:  "POST /token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n",
		s.ResourceAPIs[0]: "POST /v1/families/" + s.Demo.FamilyID + "/lists HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer " + s.Demo.APIKey + "\r\n",
	} {
		begin(t, service, head)
	}
	for _, service := range append(s.AuthServers, s.ResourceAPIs...) {
		exit, ok := errors.AsType[*exec.ExitError](service.Insist())
		if !ok {
			t.Errorf("%s drained to its end", service.Name)
			continue
		}
		if how, ok := exit.Sys().(syscall.WaitStatus); !ok || how.Signal() != syscall.SIGTERM {
			t.Errorf("%s ended with %v", service.Name, exit)
		}
	}
}

// begin sends the head of a request, and returns when the service waits for its body.
func begin(t *testing.T, service *stack.Service, head string) {
	t.Helper()
	at, err := url.Parse(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, head+"Host: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("%s: %q, %v", service.Name, line, err)
	}
}

// A service that was told to stop says so to whoever balances the load, and
// serves who still comes.
func TestReadinessEndsBeforeTheService(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{Env: []string{"AUTHSERVER_SHUTDOWN_DELAY=1m", "RESOURCEAPI_SHUTDOWN_DELAY=1m"}})
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // each request has a connection of its own
	get := func(address string) (status int, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := fresh.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(b)
	}
	for path, service := range map[string]*stack.Service{"/jwks": s.AuthServers[0], "/openapi.json": s.ResourceAPIs[0]} {
		if status, _ := get(service.URL + "/readyz"); status != http.StatusOK {
			t.Fatalf("%s is not ready: %d", service.Name, status)
		}
		if err := service.Ask(); err != nil {
			t.Fatal(err)
		}
		status, body := get(service.URL + "/readyz")
		for deadline := time.Now().Add(30 * time.Second); status == http.StatusOK && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
			status, body = get(service.URL + "/readyz")
		}
		if status != http.StatusServiceUnavailable || !strings.Contains(body, "is leaving") {
			t.Errorf("%s at /readyz: %d %s", service.Name, status, body)
		}
		for _, still := range []string{"/healthz", path} {
			if status, body := get(service.URL + still); status != http.StatusOK {
				t.Errorf("%s at %s: %d %s", service.Name, still, status, body)
			}
		}
		if err := service.Insist(); err == nil {
			t.Errorf("%s was not there any more", service.Name)
		}
	}
}
