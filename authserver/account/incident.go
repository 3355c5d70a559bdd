package account

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"larder/authserver/oidc"
	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/limit"
	"larder/internal/link"
	"larder/internal/mail"
	"larder/internal/postgres"
	"larder/internal/web"
)

// Attacks are told from mistakes by how many take part within the hour. The
// answer is a door closed for minutes, to browsers that are not recognised.
const (
	manySources  = 20 // that fail at one account
	manyAccounts = 30 // at which one source fails
	watchedFor   = time.Hour

	unlockPurpose = "unlock"
	unlockPath    = "/login/unlock"
)

func closedAccount() limit.Rate { return limit.Rate{Burst: 1, Every: 5 * time.Minute} }
func closedSource() limit.Rate  { return limit.Rate{Burst: 1, Every: 15 * time.Minute} }
func alarmRate() limit.Rate     { return limit.Rate{Burst: 1, Every: time.Hour} }

// incident is an attack that was noticed just now, by one replica alone.
type incident struct {
	account bool // from many sources on one account
	source  bool // from one source on many accounts
}

// failed notes a wrong password and reports whether it made an attack plain. A
// Redis that is away notices nothing; the limits hold all the same.
func (a *attempt) failed(ctx context.Context) (found incident, err error) {
	if a.known {
		return found, nil
	}
	t := a.throttle
	for _, watch := range []struct {
		key, member string
		many        int64
		door        string
		rate        limit.Rate
		found       *bool
	}{
		{"login-sources:" + a.account, a.source, manySources, a.accountDoor(), closedAccount(), &found.account},
		{"login-accounts:" + a.source, a.account, manyAccounts, a.sourceDoor(), closedSource(), &found.source},
	} {
		n, err := t.distinct(ctx, watch.key, watch.member)
		if err != nil {
			web.Annotate(ctx, slog.String("attack_watch", err.Error()))
			return found, nil
		}
		if n < watch.many {
			continue
		}
		err = t.Limiter.Take(ctx, watch.door, watch.rate)
		if err != nil && !fault.Is(err, fault.RateLimited) {
			return found, err
		}
		*watch.found = err == nil
	}
	return found, nil
}

// distinct counts the different members of the last hour, about (HyperLogLog).
func (t *Throttle) distinct(ctx context.Context, key, member string) (int64, error) {
	p := t.Redis.Pipeline()
	p.PFAdd(ctx, key, member)
	p.ExpireNX(ctx, key, watchedFor)
	n := p.PFCount(ctx, key)
	_, err := p.Exec(ctx)
	return n.Val(), err
}

func (a *attempt) accountDoor() string { return "login:closed-account:" + a.account }
func (a *attempt) sourceDoor() string  { return "login:closed-source:" + a.source }

// notice acts on a wrong password: it audits an attack, and the owner of an
// account under attack gets a mail with a way in.
func (h *Handler) notice(r *http.Request, try *attempt, user id.ID) error {
	ctx := r.Context()
	found, err := try.failed(ctx)
	if err != nil {
		return err
	}
	if found.source {
		h.audit(r, "login.source_closed", audit.Denied, id.ID{}, "many_accounts")
	}
	if !found.account {
		return nil
	}
	h.audit(r, "login.account_closed", audit.Denied, user, "many_sources")
	if user.IsZero() {
		return nil
	}
	err = h.Throttle.Limiter.Take(ctx, "login:alarm:"+user.String(), alarmRate())
	if fault.Is(err, fault.RateLimited) {
		return nil // they know
	}
	if err != nil {
		return err
	}
	return h.Accounts.alarm(ctx, user)
}

// alarm tells the owner of an account that many guess at its password.
func (a *Accounts) alarm(ctx context.Context, user id.ID) error {
	if a.Jobs == nil {
		return nil
	}
	return postgres.InTx(ctx, a.DB, func(tx pgx.Tx) error {
		u, err := oneUser(ctx, tx, selectUser, user)
		if err != nil || u.Email == "" || u.Disabled {
			return err
		}
		unlock, err := a.Links.Issue(ctx, tx, link.New{Purpose: unlockPurpose, Subject: user.String(), Life: watchedFor})
		if err != nil {
			return err
		}
		return a.Jobs.Insert(ctx, tx, mail.Letter{
			Template: "attack", To: u.Email, Name: u.Name, Facts: map[string]string{"when": mail.When(a.Now())},
			Link: &mail.Link{Purpose: unlockPurpose, Path: unlockPath, ID: unlock},
		})
	})
}

// showUnlock shows what the link of an alarm does. Mail scanners open links too:
// it changes nothing.
func (h *Handler) showUnlock(w http.ResponseWriter, r *http.Request) error {
	found, err := h.Accounts.Links.Look(r.Context(), unlockPurpose, web.Var(r, "token"))
	if fault.Is(err, fault.NotFound) {
		return h.linkOver(w, r, err)
	}
	if err != nil {
		return err
	}
	user, err := h.ownerOf(r.Context(), found)
	if err != nil {
		return err
	}
	h.Devices.Ensure(w, r)
	return h.Pages.Render(w, r, http.StatusOK, "confirm", oidc.ConfirmPage{
		Title: "Let this browser in?", Lead: "Others guess at a password. You can sign in here all the same, with yours, as", Address: user, Button: "Let this browser in",
	})
}

// useUnlock recognises this browser, which so has a count of guesses to itself.
// Whoever holds the link has the mailbox; the password is asked for all the same.
func (h *Handler) useUnlock(w http.ResponseWriter, r *http.Request) error {
	if err := h.pressed(w, r, "verify"); err != nil {
		return err
	}
	device, _ := h.Devices.Ensure(w, r)
	ctx := r.Context()
	err := postgres.InTx(ctx, h.Accounts.DB, func(tx pgx.Tx) error {
		found, err := h.Accounts.Links.Use(ctx, tx, unlockPurpose, web.Var(r, "token"))
		if err != nil {
			return err
		}
		user, err := id.Parse(found.Subject)
		if err != nil {
			return err
		}
		if err := h.Throttle.Devices.Recognise(ctx, tx, user, device, h.Source(r)); err != nil {
			return err
		}
		return audit.Auth().Insert(ctx, tx, audit.Event{
			OccurredAt: h.Now(), Action: "login.browser_let_in", Result: audit.Success, Actor: audit.Person(user),
			SourceIP: h.Source(r), UserAgent: r.UserAgent(), RequestID: web.RequestID(ctx),
		})
	})
	if fault.Is(err, fault.NotFound) {
		return h.linkOver(w, r, err)
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/login")
}

func (h *Handler) ownerOf(ctx context.Context, found *link.Link) (email string, err error) {
	user, err := id.Parse(found.Subject)
	if err != nil {
		return "", errors.Join(errors.New("the link is about nobody"), err)
	}
	u, err := h.Accounts.User(ctx, user)
	if err != nil {
		return "", err
	}
	return u.Email, nil
}
