package devstack

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func stackWith(env map[string]string) *Stack {
	return &Stack{Getenv: func(name string) string { return env[name] }}
}

// listen takes a port with the one after it free, and returns both.
func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener, listener.Addr().String()
}

func TestPlanRefusesListenersThatOthersCanReach(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{"AUTHSERVER_ADDR", "RESOURCEAPI_ADDR", "AUTHSERVER_INTERNAL_ADDR", "RESOURCEAPI_INTERNAL_ADDR"} {
		env := map[string]string{"AUTHSERVER_ADDR": "127.0.0.1:0", "RESOURCEAPI_ADDR": "localhost:0"}
		env[variable] = "0.0.0.0:0"
		if _, err := stackWith(env).plan(t.Context()); err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s=0.0.0.0:0: got %v, want a refusal that names it", variable, err)
		}
	}
}

func TestPlanNamesAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	_, taken := listen(t)
	_, err := stackWith(map[string]string{"AUTHSERVER_ADDR": taken}).plan(t.Context())
	if err == nil || !strings.Contains(err.Error(), "AUTHSERVER_ADDR") {
		t.Errorf("got %v, want the variable that moves it", err)
	}
	_, err = stackWith(map[string]string{"AUTHSERVER_ADDR": "127.0.0.1:99999"}).plan(t.Context())
	if err == nil || !strings.Contains(err.Error(), "AUTHSERVER_ADDR=127.0.0.1:99999") || strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v, want what is wrong with the address", err)
	}
}

func TestPlanPutsInternalListenersBesideOrElsewhere(t *testing.T) {
	t.Parallel()
	first, second := reserve(t), reserve(t)
	env := map[string]string{"AUTHSERVER_ADDR": first, "RESOURCEAPI_ADDR": second}
	p, err := stackWith(env).plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, addr := range []string{p.authServer, p.authServerInternal, p.resourceAPI, p.resourceAPIInternal} {
		if seen[addr] || addr == "" {
			t.Errorf("address %q twice or empty in %+v", addr, p)
		}
		seen[addr] = true
	}
	if diff := cmp.Diff([]string{"http://" + first, "http://" + second}, []string{p.issuer, p.api}); diff != "" {
		t.Errorf("base URLs (-want +got):\n%s", diff)
	}
	env["AUTHSERVER_ISSUER"], env["RESOURCEAPI_RESOURCE"] = "https://login.test", "https://api.test"
	if p, err = stackWith(env).plan(t.Context()); err != nil || p.issuer != "https://login.test" || p.api != "https://api.test" {
		t.Errorf("%+v, %v: not what others call them", p, err)
	}
}
