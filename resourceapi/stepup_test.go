package main

import (
	"strings"
	"testing"
	"time"

	"larder/internal/pgtest"
	"larder/resourceapi/bearer/bearertest"
	"larder/resourceapi/policy"
)

// RFC 9470: what takes a fresh sign-in is refused with a challenge that says how fresh, and done after one.
func TestRemovingSomebodyTakesAFreshSignIn(t *testing.T) {
	t.Parallel()
	h := newServiceOn(t, pgtest.New(t), nil).household(t, "")
	signedIn := func(sub string, ago time.Duration) caller {
		return caller{h.issuer.Token(bearertest.Claims{
			"sub": sub, "scope": strings.Join(policy.Scopes(), " "), "auth_time": time.Now().Add(-ago).Unix(),
		})}
	}
	bob := h.path + "/members/bob"
	stale := signedIn("ann", time.Hour)
	h.want(t, 200, stale, "GET", h.path+"/members", nil)
	got := h.want(t, 401, stale, "DELETE", bob, nil)
	challenge := got.header.Get("WWW-Authenticate")
	if !strings.Contains(challenge, `error="insufficient_user_authentication"`) || !strings.Contains(challenge, `max_age="600"`) {
		t.Errorf("challenge %q", challenge)
	}
	if code := got.field(t, "code"); code != "insufficient_user_authentication" {
		t.Errorf("code %q", code)
	}
	// Whom a sign-in would not help, hears nothing of one.
	h.want(t, 403, signedIn("gus", time.Hour), "DELETE", bob, nil)
	h.want(t, 404, signedIn("zed", time.Hour), "DELETE", bob, nil)
	h.want(t, 200, h.member, "GET", h.path, nil)

	h.want(t, 204, signedIn("ann", 9*time.Minute), "DELETE", bob, nil)
	h.want(t, 404, h.member, "GET", h.path, nil)
	h.want(t, 204, signedIn("gus", time.Hour), "DELETE", h.path+"/members/gus", nil) // leaving takes none
}
