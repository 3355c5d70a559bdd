package story_test

import (
	"fmt"
	"html"
	"regexp"
	"strconv"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"
)

// A time step of an authenticator app (RFC 6238 §4.1), and how much of it must be left for a story to use the code of the
// step before: with the next one that is over.
const (
	step    = 30 * time.Second
	reserve = 15 * time.Second
)

// look remembers a part of the page's source.
func (n *narrator) look(ts *testscript.TestScript, args []string) error {
	if n.page == nil {
		return fmt.Errorf("no page is open")
	}
	want, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	groups := want.FindSubmatch(n.page.Body)
	if len(groups) != 2 {
		return fmt.Errorf("no %s on the page: %v", args[1], n.last)
	}
	ts.Setenv(args[0], html.UnescapeString(string(groups[1])))
	return nil
}

// totp is the person's app. Each step is good once, so a story that shows several codes takes them from neighbouring
// steps: the authserver allows one either way.
func (n *narrator) totp(ts *testscript.TestScript, args []string) error {
	offset, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	now := time.Now()
	if left := now.Truncate(step).Add(step).Sub(now); offset < 0 && left < reserve {
		time.Sleep(left)
	}
	code, err := totp.GenerateCode(args[1], time.Now().Add(time.Duration(offset)*step))
	if err != nil {
		return err
	}
	ts.Setenv(args[0], code)
	return nil
}
