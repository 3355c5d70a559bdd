package rp_test

import (
	"testing"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

// TestBackchannelDocs runs docs/integrate-backchannel.md: openid-client asks a
// person by CIBA, who answers in a browser of her own.
func TestBackchannelDocs(t *testing.T) {
	dir := install(t)
	t.Parallel()
	s := stack.New(t, stack.BuildForTest(t), stack.Options{})
	ada, b := s.User(t, demo.Admin), s.NewBrowser()
	converse(t, s, dir, pageScript(t, dir, "integrate-backchannel"), deeds{"answer": func() string {
		page, err := b.Open(t.Context(), s.Issuer+"/account/requests")
		if err == nil && page.Has("login") {
			page, err = b.SignIn(t.Context(), page, ada.Email, ada.Password)
		}
		if err == nil && page.Has("allow") {
			page, err = b.Press(t.Context(), page, "allow")
		}
		if err != nil || page.Has("allow") {
			t.Errorf("nothing was answered: %v", err)
		}
		return "answered"
	}})
}
