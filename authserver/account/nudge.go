package account

import (
	"context"
	"net/http"
	"time"

	"larder/authserver/oidc"
	"larder/internal/id"
	"larder/internal/postgres"
)

// nudgeRests is how long somebody who wants no second factor now is left alone.
const nudgeRests = 30 * 24 * time.Hour

// Enrolments knows who has a passkey or an authenticator app.
type Enrolments interface {
	Enrolled(ctx context.Context, user id.ID) (bool, error)
}

// nudges reports whether the page offers a passkey or an authenticator app: to
// somebody who signed in with the password alone, has neither, and did not wave
// the offer away lately.
func (h *Handler) nudges(r *http.Request, login *oidc.Login) (bool, error) {
	if login.ACR != oidc.ACRPassword {
		return false, nil
	}
	enrolled, err := h.Enrolments.Enrolled(r.Context(), login.Subject)
	if enrolled || err != nil {
		return false, err
	}
	return h.Accounts.Nudgeable(r.Context(), login.Subject)
}

// Nudgeable reports whether a person may be offered a second factor.
func (a *Accounts) Nudgeable(ctx context.Context, user id.ID) (may bool, err error) {
	err = a.DB.QueryRow(ctx, selectNudgeable, user, a.Now().Add(-nudgeRests)).Scan(&may)
	return may, postgres.Translate(err)
}

// DismissNudge leaves a person alone for 30 days.
func (a *Accounts) DismissNudge(ctx context.Context, user id.ID) error {
	_, err := a.DB.Exec(ctx, updateNudge, user, a.Now())
	return postgres.Translate(err)
}
