package outbound

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func newClient(loopback bool) *Client {
	return New(Config{Timeout: 2 * time.Second, MaxBody: 1 << 10, AllowLoopback: loopback})
}

func TestOnlyTheInternetIsPublic(t *testing.T) {
	t.Parallel()
	c := newClient(false)
	for text, want := range map[string]bool{
		"93.184.216.34": true, "8.8.8.8": true, "2606:2800:220:1:248:1893:25c8:1946": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.255.0.9": false, "::1": false, "0.0.0.0": false, "::": false, "::ffff:127.0.0.1": false,
		"10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "fe80::1": false,
		"fd00:ec2::254": false, "100.64.0.1": false, "192.0.0.192": false, "198.18.0.1": false, "224.0.0.1": false,
		"255.255.255.255": false, "240.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::7f00:1": false,
		"ff02::1": false, "2001:db8::1": false, "fec0::1": false, "2001::1": false,
	} {
		if got := c.public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v, want %v", text, got, want)
		}
	}
}

// TestNobodyInsideIsReached has a server on loopback and every way to name it.
func TestNobodyInsideIsReached(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	port := inside.URL[strings.LastIndex(inside.URL, ":"):]
	c := newClient(false)
	for _, address := range []string{
		"http://127.0.0.1", "https://127.0.0.1" + port, "https://localhost" + port, "https://2130706433" + port, "https://0x7f000001" + port,
		"https://127.1" + port, "https://[::1]" + port, "https://[::ffff:127.0.0.1]" + port, "https://0.0.0.0" + port, "https://localhost." + port,
		"file:///etc/passwd", "gopher://127.0.0.1", "https://user@example.com", "https://", "//example.com", "https://169.254.169.254/latest",
	} {
		if status, err := c.Post(t.Context(), address, http.Header{}, nil); err == nil {
			t.Errorf("%s answers %d", address, status)
		}
		if body, err := c.Get(t.Context(), address, http.Header{}); err == nil {
			t.Errorf("%s answers %q", address, body)
		}
	}
	// What the dialler is given after a name was resolved, whatever the name was.
	for _, address := range []string{"127.0.0.1:443", "[::1]:443", "10.0.0.1:443", "169.254.169.254:80", "[fd00::1]:443"} {
		if err := c.control("tcp", address, nil); !errors.Is(err, ErrRefused) {
			t.Errorf("dialling %s: %v", address, err)
		}
	}
	if err := c.control("tcp", "8.8.8.8:443", nil); err != nil {
		t.Errorf("dialling the Internet: %v", err)
	}
	if reached.Load() != 0 {
		t.Errorf("the server inside was reached %d times", reached.Load())
	}
}

func TestRedirectsAreNotFollowedAndAnswersAreBounded(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		case "/there":
			followed.Add(1)
		case "/small":
			_, _ = w.Write(make([]byte, 1<<10))
		case "/slow":
			<-r.Context().Done()
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}
	}))
	defer server.Close()
	c := New(Config{Timeout: time.Minute, MaxBody: 1 << 10, AllowLoopback: true})
	if status, err := c.Post(t.Context(), server.URL+"/redirect", http.Header{}, nil); err != nil || status != 307 || followed.Load() != 0 {
		t.Errorf("a redirect: %d, %v, followed %d times", status, err, followed.Load())
	}
	if status, err := c.Post(t.Context(), server.URL+"/endless", http.Header{}, nil); err != nil || status != 200 {
		t.Errorf("an endless answer: %d, %v", status, err)
	}
	if body, err := c.Get(t.Context(), server.URL+"/small", http.Header{}); err != nil || len(body) != 1<<10 {
		t.Errorf("an answer as large as it may be: %d bytes, %v", len(body), err)
	}
	for _, path := range []string{"/redirect", "/endless", "/missing#x"} {
		if body, err := c.Get(t.Context(), server.URL+path, http.Header{}); err == nil || followed.Load() != 0 {
			t.Errorf("%s: %d bytes, %v, followed %d times", path, len(body), err, followed.Load())
		}
	}
	if _, err := newClient(true).Post(t.Context(), server.URL+"/slow", http.Header{}, nil); err == nil {
		t.Error("an answer that does not come was waited for, and came")
	}
}

// TestAnOperatorsAddressesMayBePrivate has a client that is given nothing else.
func TestAnOperatorsAddressesMayBePrivate(t *testing.T) {
	t.Parallel()
	c := New(Config{Timeout: time.Second, MaxBody: 1 << 10, AllowPrivate: true})
	for text, want := range map[string]bool{
		"10.1.2.3": true, "192.168.1.1": true, "fd00::1": true, "127.0.0.1": true, "8.8.8.8": true,
		"169.254.169.254": false, "fe80::1": false, "0.0.0.0": false, "224.0.0.1": false, "100.64.0.1": false,
	} {
		if got := c.allowed(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is allowed: %v, want %v", text, got, want)
		}
	}
	if err := c.CheckURL("http://10.1.2.3:9100/v1"); err != nil {
		t.Error(err)
	}
}
