package account_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"larder/authserver/account"
	"larder/authserver/oidc"
	"larder/internal/id"
)

// meanwhile does something between a password that was right and the session.
type meanwhile struct {
	account.SecondFactors
	do func(ctx context.Context, user id.ID) error
}

func (m meanwhile) Weigh(r *http.Request, login *oidc.Login, device string) (bool, error) {
	if err := m.do(r.Context(), login.Subject); err != nil {
		return false, err
	}
	return m.SecondFactors.Weigh(r, login, device)
}

// A17: who signs in again and again by a stolen password is on the way in at the
// very moment in which its owner changes it.
func TestASignInUnderWayDoesNotOutliveThePassword(t *testing.T) {
	for name, do := range map[string]func(p *place) func(ctx context.Context, user id.ID) error{
		"a new password": func(p *place) func(context.Context, id.ID) error {
			return func(ctx context.Context, user id.ID) error {
				return p.accounts.SetPassword(ctx, operator(), user, "a dozen fresh brown eggs")
			}
		},
		"an account that is disabled": func(p *place) func(context.Context, id.ID) error {
			return func(ctx context.Context, user id.ID) error { return p.accounts.Disable(ctx, operator(), user) }
		},
	} {
		p := setup(t)
		user := p.create(t, "ada@example.com")
		p.handler.Factors = meanwhile{p.handler.Factors, do(p)}
		b := p.browser(t, "192.0.2.1")
		if got := b.signIn("ada@example.com", goodPassword); got.status != http.StatusForbidden || !strings.Contains(got.body, `role="alert"`) {
			t.Errorf("%s: the sign-in under way: %d %s", name, got.status, got.location)
		}
		if got := b.get("/account"); got.location != "/login" {
			t.Errorf("%s: it is signed in: %d", name, got.status)
		}
		if all, err := p.sessions.List(t.Context(), user); err != nil || len(all) != 0 {
			t.Errorf("%s: sessions %v, %v", name, all, err)
		}
	}
}
