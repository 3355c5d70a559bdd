package story_test

import (
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"larder/tests/stack"
)

func (n *narrator) choosePerson(_ *testscript.TestScript, args []string) error {
	if n.browsers[args[0]] == nil {
		return fmt.Errorf("there is no %s", args[0])
	}
	n.person, n.page = args[0], nil
	return nil
}

func (n *narrator) browser() (*stack.Browser, error) {
	if n.person == "" {
		return nil, fmt.Errorf("whose browser? Say person NAME first")
	}
	return n.browsers[n.person], nil
}

func (n *narrator) named(client string) (*stack.Client, error) {
	c := n.clients[client]
	if c == nil {
		return nil, fmt.Errorf("there is no client %q", client)
	}
	return c, nil
}

// register makes a client known to the story that an operator registered in it.
func (n *narrator) register(_ *testscript.TestScript, args []string) error {
	c := &stack.Client{Issuer: n.stack.Issuer, ID: args[1], Secret: args[2]}
	if len(args) > 3 {
		c.RedirectURI = args[3]
	}
	n.clients[args[0]] = c
	return nil
}

func (n *narrator) open(_ *testscript.TestScript, args []string) error {
	b, err := n.browser()
	if err != nil {
		return err
	}
	return n.show(b.Open(n.ctx, args[0]))
}

func (n *narrator) show(page *stack.Page, err error) error {
	if err != nil {
		return err
	}
	n.page, n.last = page, page.Response
	return nil
}

func (n *narrator) authorize(_ *testscript.TestScript, args []string) error {
	b, err := n.browser()
	if err != nil {
		return err
	}
	if n.client, err = n.named(args[0]); err != nil {
		return err
	}
	more, err := pairs(args[2:])
	if err != nil {
		return err
	}
	n.attempt = n.client.Begin(args[1], more)
	return n.show(b.Open(n.ctx, n.attempt.URL))
}

func (n *narrator) push(_ *testscript.TestScript, args []string) error {
	b, err := n.browser()
	if err != nil {
		return err
	}
	if n.client, err = n.named(args[0]); err != nil {
		return err
	}
	more, err := pairs(args[2:])
	if err != nil {
		return err
	}
	if n.attempt, err = n.client.Push(n.ctx, args[1], more); err != nil {
		return err
	}
	return n.show(b.Open(n.ctx, n.attempt.URL))
}

func (n *narrator) press(_ *testscript.TestScript, args []string) error {
	b, err := n.browser()
	if err != nil {
		return err
	}
	if n.page == nil {
		return fmt.Errorf("no page is open")
	}
	return n.show(b.Press(n.ctx, n.page, args[0], args[1:]...))
}

func (n *narrator) sees(_ *testscript.TestScript, args []string) error {
	if n.page == nil || n.page.Left != nil {
		return fmt.Errorf("no page is open")
	}
	if !strings.Contains(n.page.Text(), args[0]) {
		return fmt.Errorf("the page says %q", n.page.Text())
	}
	return nil
}

func (n *narrator) alert(_ *testscript.TestScript, args []string) error {
	if n.page == nil || !strings.Contains(n.page.Alert, args[0]) || n.page.Alert == "" {
		return fmt.Errorf("the alert is not that; the page: %v", n.last)
	}
	return nil
}

// returned checks that the browser is back at the client: with a code, or with what the story expects.
func (n *narrator) returned(_ *testscript.TestScript, args []string) error {
	if n.page == nil || n.page.Left == nil {
		return fmt.Errorf("the browser is still at the authserver: %v", n.last)
	}
	want, err := pairs(args)
	if err != nil {
		return err
	}
	for name := range want {
		if got := n.page.Left.Query().Get(name); got != want.Get(name) {
			return fmt.Errorf("%s is %q in %s", name, got, n.page.Left)
		}
	}
	if len(args) > 0 {
		return nil
	}
	n.code, err = n.client.Code(n.attempt, n.page)
	return err
}

func (n *narrator) redeem(ts *testscript.TestScript, _ []string) error {
	resp, err := n.client.Exchange(n.ctx, n.code, n.attempt.Verifier)
	return n.granted(ts, n.person, resp, err)
}

// granted takes a token response in: on success the tokens are the caller's from now on.
func (n *narrator) granted(ts *testscript.TestScript, caller string, resp *stack.Response, err error) error {
	if err != nil {
		return err
	}
	n.last = resp
	tokens, err := resp.Tokens()
	if err != nil {
		return nil //nolint:nilerr // the story says which status it expects
	}
	n.credentials[caller] = tokens.AccessToken
	ts.Setenv("ACCESS_TOKEN", tokens.AccessToken)
	if tokens.RefreshToken != "" {
		ts.Setenv("REFRESH_TOKEN", tokens.RefreshToken)
	}
	if tokens.IDToken != "" {
		ts.Setenv("ID_TOKEN", tokens.IDToken)
	}
	return nil
}

func (n *narrator) signIn(ts *testscript.TestScript, args []string) error {
	if err := n.choosePerson(ts, args); err != nil {
		return err
	}
	if err := n.authorize(ts, append([]string{args[1], args[2]}, args[3:]...)); err != nil {
		return err
	}
	user := n.people[n.person]
	if n.page.Has("login") {
		if err := n.press(ts, []string{"login", "email", user.Email, "password", user.Password}); err != nil {
			return err
		}
	}
	if n.page.Has("allow") {
		if err := n.press(ts, []string{"allow"}); err != nil {
			return err
		}
	}
	if err := n.returned(ts, nil); err != nil {
		return err
	}
	if err := n.redeem(ts, nil); err != nil {
		return err
	}
	return n.status(ts, []string{"200"})
}

func (n *narrator) token(ts *testscript.TestScript, args []string) error {
	c, err := n.named(args[0])
	if err != nil {
		return err
	}
	form, err := pairs(args[1:])
	if err != nil {
		return err
	}
	resp, err := c.Token(n.ctx, form)
	return n.granted(ts, args[0], resp, err)
}

func (n *narrator) refresh(ts *testscript.TestScript, args []string) error {
	c, err := n.named(args[0])
	if err != nil {
		return err
	}
	token := ts.Getenv("REFRESH_TOKEN")
	if len(args) > 1 {
		token = args[1]
	}
	resp, err := c.Refresh(n.ctx, token)
	return n.granted(ts, n.person, resp, err)
}

func (n *narrator) post(_ *testscript.TestScript, args []string) error {
	c, err := n.named(args[0])
	if err != nil {
		return err
	}
	form, err := pairs(args[2:])
	if err != nil {
		return err
	}
	n.last, err = c.PostForm(n.ctx, n.stack.Issuer+args[1], form)
	return err
}
