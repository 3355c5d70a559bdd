package crash_test

import (
	"errors"
	"net"
	"net/url"
	"os/exec"
	"syscall"
	"testing"

	"larder/tests/stack"
)

// A service drains for as long as a request is under way, unless whoever stops
// it insists.
func TestASecondSignalEndsADrainAtOnce(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	for _, service := range append(s.AuthServers, s.ResourceAPIs...) {
		at, err := url.Parse(service.URL)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		const unfinished = "POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type="
		if _, err := conn.Write([]byte(unfinished)); err != nil {
			t.Fatal(err)
		}
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
