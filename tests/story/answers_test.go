package story_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"larder/tests/stack"
)

func (n *narrator) credential(_ *testscript.TestScript, args []string) error {
	n.credentials[args[0]] = args[1]
	return nil
}

// api also prints the answer, for the commands stdout and grab.
func (n *narrator) api(ts *testscript.TestScript, args []string) error {
	resp, err := n.call(args)
	if err != nil {
		return err
	}
	n.last = resp
	_, err = ts.Stdout().Write(resp.Body)
	return err
}

// call sends WHO METHOD PATH [BODY] [Name: value…].
func (n *narrator) call(args []string) (*stack.Response, error) {
	who, method, path, rest := args[0], args[1], args[2], args[3:]
	credential, ok := n.credentials[who]
	if !ok {
		return nil, fmt.Errorf("%s has no credential yet", who)
	}
	body := ""
	if len(rest) > 0 && (strings.HasPrefix(rest[0], "{") || strings.HasPrefix(rest[0], "[")) {
		body, rest = rest[0], rest[1:]
	}
	var headers []string
	for _, line := range rest {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("%q is neither a JSON body nor a header", line)
		}
		headers = append(headers, name, value)
	}
	return n.stack.Call(n.ctx, credential, method, path, body, headers...)
}

func (n *narrator) status(_ *testscript.TestScript, args []string) error {
	if n.last == nil || strconv.Itoa(n.last.Status) != args[0] {
		return fmt.Errorf("the answer is %v", n.last)
	}
	return nil
}

// problem checks the status and that the body is one of RFC 9457 that agrees with it.
func (n *narrator) problem(ts *testscript.TestScript, args []string) error {
	if err := n.status(ts, args); err != nil {
		return err
	}
	if got := n.last.Header.Get("Content-Type"); got != "application/problem+json" {
		return fmt.Errorf("Content-Type is %q: %v", got, n.last)
	}
	for _, member := range []string{".type", ".title", ".instance"} {
		if n.last.Text(member) == "" {
			return fmt.Errorf("no %s in %v", member, n.last)
		}
	}
	if got := n.last.Text(".status"); got != args[0] {
		return fmt.Errorf("status %s in the body of %v", got, n.last)
	}
	return nil
}

func (n *narrator) json(_ *testscript.TestScript, args []string) error {
	if n.last == nil {
		return fmt.Errorf("nothing was answered yet")
	}
	got, err := n.last.Find(args[0])
	if err != nil {
		return err
	}
	if len(args) > 1 && got != args[1] {
		return fmt.Errorf("%s is %q in %v", args[0], got, n.last)
	}
	return nil
}

func (n *narrator) header(_ *testscript.TestScript, args []string) error {
	want, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	if got := n.last.Header.Get(args[0]); !want.MatchString(got) {
		return fmt.Errorf("%s is %q", args[0], got)
	}
	return nil
}

func (n *narrator) keep(ts *testscript.TestScript, args []string) error {
	value, err := n.last.Find(args[1])
	if err != nil {
		return err
	}
	ts.Setenv(args[0], value)
	return nil
}

func (n *narrator) grab(ts *testscript.TestScript, args []string) error {
	want, err := regexp.Compile("(?m)" + args[1])
	if err != nil {
		return err
	}
	printed := ts.ReadFile("stdout")
	groups := want.FindStringSubmatch(printed)
	if len(groups) != 2 {
		return fmt.Errorf("no %s in what was printed:\n%s", args[1], printed)
	}
	ts.Setenv(args[0], groups[1])
	return nil
}

// within calls until the answer has the status, and the member named last if one is, for so long: that is the promise. A
// machine that runs all tests at once has little left for each, so it gets more time to keep it.
func (n *narrator) within(_ *testscript.TestScript, args []string) error {
	limit, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	request, member := args[2:], ""
	if last := request[len(request)-1]; strings.HasPrefix(last, ".") {
		request, member = request[:len(request)-1], last
	}
	for end := time.Now().Add(limit + busy); ; time.Sleep(pollEvery) {
		resp, err := n.call(request)
		if err == nil && member != "" {
			_, err = resp.Find(member)
		}
		if err == nil && strconv.Itoa(resp.Status) == args[1] {
			n.last = resp
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("after %s the answer is %v", limit, resp), err)
		}
	}
}

func (n *narrator) line(name string) (*stack.Line, error) {
	switch name {
	case "postgres":
		return n.stack.Postgres, nil
	case "redis":
		return n.stack.Redis, nil
	default:
		return nil, fmt.Errorf("there is no server %q", name)
	}
}

func (n *narrator) cut(_ *testscript.TestScript, args []string) error {
	line, err := n.line(args[0])
	if err == nil {
		line.Cut()
	}
	return err
}

func (n *narrator) freeze(_ *testscript.TestScript, args []string) error {
	line, err := n.line(args[0])
	if err == nil {
		line.Freeze()
	}
	return err
}

func (n *narrator) mend(_ *testscript.TestScript, args []string) error {
	line, err := n.line(args[0])
	if err == nil {
		line.Mend()
	}
	return err
}

func (n *narrator) replica(name string) (*stack.Service, error) {
	switch name {
	case "authserver":
		return n.stack.AuthServers[0], nil
	case "resourceapi":
		return n.stack.ResourceAPIs[0], nil
	default:
		return nil, fmt.Errorf("there is no service %q", name)
	}
}

func (n *narrator) stop(_ *testscript.TestScript, args []string) error {
	service, err := n.replica(args[0])
	if err != nil {
		return err
	}
	return service.Stop()
}

func (n *narrator) kill(_ *testscript.TestScript, args []string) error {
	service, err := n.replica(args[0])
	if err == nil {
		service.Kill()
	}
	return err
}

func (n *narrator) start(_ *testscript.TestScript, args []string) error {
	service, err := n.replica(args[0])
	if err != nil {
		return err
	}
	return service.Start(n.ctx)
}
