package account

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/postgres"
	"larder/internal/revocation"
	"larder/internal/risk"
	"larder/internal/web"
)

// Disown ends a sign-in that was somebody else's: the session, every grant that
// was given in it, and that its browser is recognised and spared the second
// factor. The password counts as known to others from now on, see markBreached.
// The session ends first, so that after a failure one may simply try again; first
// agrees in the transaction of the rest.
func (a *Accounts) Disown(ctx context.Context, user id.ID, sid string, e audit.Event, first func(pgx.Tx) error) error {
	if _, err := a.Sessions.EndOwn(ctx, user, func(own string) bool { return own == sid }); err != nil {
		return err
	}
	now := a.Now()
	e.OccurredAt, e.Action, e.Result, e.Actor, e.Details = now, "login.disowned", audit.Success, audit.Person(user), map[string]any{"sid": sid}
	return postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		if err := first(tx); err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(disownDevice, user, sid, now)
		b.Queue(disownGrants, user, sid, now)
		audit.Auth().Batch(b, e)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		if a.SessionEnded != nil { // nobody told them if Redis has lost the session
			if _, err := a.SessionEnded(ctx, tx, sid); err != nil {
				return err
			}
		}
		return revocation.Insert(ctx, tx, revocation.Session, sid)
	})
}

// newsPage is what not-me.html shows.
type newsPage struct {
	Email, Device, Where string
	At                   time.Time
	Here                 bool // it was the browser that asks
	Done                 bool
	HasPassword          bool
}

// showNews shows what the link of a mail about a new browser is about. Mail
// scanners open links too: it changes nothing.
func (h *Handler) showNews(w http.ResponseWriter, r *http.Request) error {
	news, user, err := h.news(r)
	if fault.Is(err, fault.NotFound) {
		return h.linkOver(w, r, err)
	}
	if err != nil {
		return err
	}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	return h.Pages.Render(w, r, http.StatusOK, "not-me", newsPage{
		Email: user.Email, Device: news.Device, Where: news.Where, At: news.At, Here: login != nil && login.SID == news.SID,
	})
}

// disownNews ends the sign-in. The link proves no more than the mailbox, and so
// it does no more: for a new password another mail is asked for.
func (h *Handler) disownNews(w http.ResponseWriter, r *http.Request) error {
	if err := h.pressed(w, r, "verify"); err != nil {
		return err
	}
	ctx := r.Context()
	news, user, err := h.news(r)
	if err == nil {
		err = h.Accounts.Disown(ctx, user.ID, news.SID, h.seen(r), func(tx pgx.Tx) error {
			_, err := h.Accounts.Links.Use(ctx, tx, risk.NewsPurpose, web.Var(r, "token"))
			return err
		})
	}
	if fault.Is(err, fault.NotFound) {
		return h.linkOver(w, r, err)
	}
	if err != nil {
		return err
	}
	login, err := h.Sessions.Current(r)
	if err != nil {
		return err
	}
	if login != nil && login.Subject == user.ID {
		return web.SeeOther(w, r, "/account/security?done=not-me")
	}
	return h.Pages.Render(w, r, http.StatusOK, "not-me", newsPage{Email: user.Email, Done: true, HasPassword: user.HasPassword})
}

// news reads the link; an account that went meanwhile is fault.NotFound too.
func (h *Handler) news(r *http.Request) (news risk.News, user *oidc.User, err error) {
	found, err := h.Accounts.Links.Look(r.Context(), risk.NewsPurpose, web.Var(r, "token"))
	if err != nil {
		return news, nil, err
	}
	if err := found.Into(&news); err != nil {
		return news, nil, err
	}
	user, err = h.Accounts.User(r.Context(), news.User)
	return news, user, err
}

// disownSignIn answers action=not-me of /account/security, about one of the
// person's own sessions other than this one.
func (h *Handler) disownSignIn(w http.ResponseWriter, r *http.Request, login *oidc.Login, sid string) error {
	if sid == "" || sid == login.SID {
		return web.NoButton()
	}
	ctx := r.Context()
	err := h.Accounts.Disown(ctx, login.Subject, sid, h.seen(r), func(tx pgx.Tx) error {
		var own bool // nobody ends what others were given
		if err := tx.QueryRow(ctx, existsSignIn, login.Subject, sid).Scan(&own); err != nil || own {
			return err
		}
		return pgx.ErrNoRows
	})
	if err != nil && !fault.Is(err, fault.NotFound) { // pressed twice, or forgotten meanwhile
		return err
	}
	return web.SeeOther(w, r, "/account/security?done=not-me")
}

// seen is what an audit event has of the request.
func (h *Handler) seen(r *http.Request) audit.Event {
	return audit.Event{SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(r.Context())}
}
