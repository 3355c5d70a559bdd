package mfa

import (
	"context"
	"net/http"
	"slices"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/risk"
	"larder/internal/web"
)

// Risks weighs sign-ins.
type Risks interface {
	Assess(ctx context.Context, user id.ID, device, source string, password bool) (*risk.Assessment, error)
}

// Weigh decides what follows a first factor that was accepted: nothing, or a
// second step, which is owed at a device that is not trusted and wherever the
// sign-in looks unlike its owner. It puts what it found into login. Somebody who
// looks unlike the owner and can show nothing more is refused with
// fault.Forbidden and words for the page.
func (h *Handler) Weigh(r *http.Request, login *oidc.Login, device string) (owes bool, err error) {
	ctx := r.Context()
	if owes, err = h.Factors.Required(ctx, login.Subject, device); err != nil || h.Risks == nil {
		return owes, err
	}
	password := slices.Contains(login.AMR, oidc.AMRPassword)
	if login.Risk, err = h.Risks.Assess(ctx, login.Subject, device, h.Source(r), password); err != nil {
		return false, err
	}
	if login.Risk.Level() != risk.High || owes {
		return owes, nil
	}
	can, err := h.canShowMore(ctx, login)
	if err != nil {
		return false, err
	}
	if !can {
		h.auditRisk(r, login, audit.Denied, "login.refused")
		return false, fault.New(fault.Forbidden, "This sign-in looks unlike you, and there is no second step to make sure. Sign in at a device where you have signed in before, or choose a new password by mail.").WithCode("high_risk")
	}
	h.auditRisk(r, login, audit.Success, "login.stepped_up")
	return true, nil
}

func (h *Handler) canShowMore(ctx context.Context, login *oidc.Login) (bool, error) {
	enrolled, err := h.Factors.Enrolled(ctx, login.Subject)
	if enrolled || err != nil {
		return enrolled, err
	}
	ways, err := h.ways(ctx, &debtor{Login: *login, held: true})
	return len(ways) > 0, err
}

// ways are those that the person chose for codes, or else the mailbox, for a
// sign-in that looks unlike its owner.
func (h *Handler) ways(ctx context.Context, d *debtor) ([]oidc.MessageWay, error) {
	ways, err := h.Messages.Ways(ctx, d.Subject)
	if err != nil || len(ways) > 0 || !d.held || d.Risk.Level() != risk.High {
		return ways, err
	}
	return h.Messages.Mailbox(ctx, d.Subject)
}

func (h *Handler) auditRisk(r *http.Request, login *oidc.Login, result audit.Result, action string) {
	h.Audit.Put(audit.Event{
		OccurredAt: h.Now(), Action: action, Result: result, Reason: "high_risk", Actor: audit.Person(login.Subject), Target: login.Subject.String(),
		SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context()),
		Details: map[string]any{"risk_score": login.Risk.Score, "risk_signals": login.Risk.Signals},
	})
}
