package main

import (
	"context"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"net/url"
	"os"
	"time"

	"github.com/riverqueue/river"

	"larder/authserver/account"
	"larder/authserver/ciba"
	"larder/authserver/consent"
	"larder/authserver/federation"
	"larder/authserver/flow"
	"larder/authserver/forgot"
	"larder/authserver/holder"
	"larder/authserver/logout"
	"larder/authserver/onetime"
	"larder/authserver/personkey"
	"larder/authserver/privacy"
	"larder/authserver/register"
	"larder/authserver/session"
	"larder/authserver/strength"
	"larder/internal/env"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/jobs"
	"larder/internal/limit"
	"larder/internal/mail"
	"larder/internal/outbound"
	"larder/internal/password"
	"larder/internal/secret"
	"larder/internal/sms"
	"larder/internal/web"
)

const (
	linkKeys     = "mail_link"             // the purpose of the keys of links in mails
	bootLook     = time.Second             // how often what waits for the start looks
	rangeTimeout = 1500 * time.Millisecond // of the service that knows stolen passwords

	holderTimeout = 20 * time.Second // to forget a person, or to tell what is held of one
	holderBody    = 32 << 20         // bytes of that
)

// PeopleConfig is what an operator decides about mail and passwords.
type PeopleConfig struct {
	SMTP     *mail.SMTP       // nil without a mail server
	MailDir  string           // where mails land in development, "" for nowhere
	MailFrom *netmail.Address // whom mails come from
	SMS      *sms.Gateway     // nil without a provider of text messages
	SMSDir   string           // where they land in development, "" for nowhere
	// BreachedPasswords is the address of a range service of stolen passwords,
	// such as https://api.pwnedpasswords.com; "" leaves it at our own list.
	BreachedPasswords string
}

func readPeople(r *env.Reader, issuer, name string, development bool) PeopleConfig {
	c := PeopleConfig{MailDir: r.String("AUTHSERVER_MAIL_DIR"), SMSDir: r.String("AUTHSERVER_SMS_DIR")}
	host := "localhost"
	if u, err := url.Parse(issuer); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	c.MailFrom = &netmail.Address{Name: name, Address: "no-reply@" + host}
	if v := r.String("AUTHSERVER_MAIL_FROM"); v != "" {
		from, err := netmail.ParseAddress(v)
		if err != nil {
			r.Fault("AUTHSERVER_MAIL_FROM", "must be such as Larder <no-reply@example.com>")
		} else {
			c.MailFrom = from
		}
	}
	if v := r.String("AUTHSERVER_SMTP_URL"); v != "" {
		smtp, err := mail.ParseSMTP(secret.String(v), c.MailFrom, development)
		if err != nil {
			r.Fault("AUTHSERVER_SMTP_URL", "%v", err)
		}
		c.SMTP = smtp
	}
	if v := r.String("AUTHSERVER_SMS_URL"); v != "" {
		gateway, err := sms.ParseGateway(secret.String(v), development)
		if err != nil {
			r.Fault("AUTHSERVER_SMS_URL", "%v", err)
		}
		c.SMS = gateway
	}
	if v := r.String("AUTHSERVER_BREACHED_PASSWORDS_URL"); v != "" {
		if u, err := url.Parse(v); err != nil || u.Scheme != "https" || u.Host == "" {
			r.Fault("AUTHSERVER_BREACHED_PASSWORDS_URL", "must be an https address, such as https://api.pwnedpasswords.com")
		}
		c.BreachedPasswords = v
	}
	return c
}

// policy is what new passwords are held to.
func (c PeopleConfig) policy(log *slog.Logger) *password.Policy {
	p := &password.Policy{Log: log}
	if c.BreachedPasswords != "" {
		p.Breaches = &password.Ranges{URL: c.BreachedPasswords, Client: outbound.New(outbound.Config{
			Timeout: rangeTimeout, MaxBody: password.MaxRange, AllowPrivate: true, // that the operator set it lets it be a copy inside
		})}
	}
	return p
}

// sender is the way that mail takes.
func (c PeopleConfig) sender() mail.Sender {
	switch {
	case c.SMTP != nil:
		return c.SMTP
	case c.MailDir != "":
		return mail.Directory{Path: c.MailDir, From: c.MailFrom}
	}
	return mail.Nowhere{}
}

// texts is the way that text messages take, nil without one.
func (c PeopleConfig) texts(post sms.Poster) onetime.Texts {
	switch {
	case c.SMS != nil:
		return c.SMS.Over(post)
	case c.SMSDir != "":
		return sms.Directory{Path: c.SMSDir}
	}
	return nil
}

// newCrew gathers what works off the jobs.
func (s *server) newCrew(ctx context.Context) (*jobs.Crew, error) {
	languages := s.pages.Languages()
	composer, err := mail.NewComposer(languages, s.cfg.Brand)
	if err != nil {
		return nil, err
	}
	if s.cfg.People.SMTP == nil && s.cfg.People.MailDir == "" {
		s.log.LogAttrs(ctx, slog.LevelWarn, "no way to send mail is configured: set AUTHSERVER_SMTP_URL; mails wait a few hours for it")
	}
	if dir := s.cfg.People.SMSDir; dir != "" { // whoever looks for messages finds the place before the first one
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	postman := &mail.Postman{Composer: composer, Prefers: s.prefers, Links: s.links, Sender: s.cfg.People.sender()}
	workers := river.NewWorkers()
	for _, err := range []error{
		river.AddWorkerSafely(workers, &mail.Worker{Postman: postman}),
		river.AddWorkerSafely(workers, &federation.RevokeWorker{Identities: s.linked}),
		river.AddWorkerSafely(workers, &onetime.Worker{Codes: s.codes, Languages: languages, Issuer: s.cfg.Issuer, Post: postman, Texts: s.cfg.People.texts(s.outbound)}),
		river.AddWorkerSafely(workers, &account.EmailChangeWorker{Accounts: s.accounts}),
		river.AddWorkerSafely(workers, &holder.Worker{Journal: s.erasures, Sender: s.holders(), Sign: s.provider.SignForItself}),
		river.AddWorkerSafely(workers, &register.Worker{Registrations: s.registrations(), Users: s.accounts, Post: postman}),
		river.AddWorkerSafely(workers, &logout.Worker{
			Clients: s.clients, Tokens: s.provider, Sender: s.outbound, Audit: s.db, Now: s.now,
		}),
		river.AddWorkerSafely(workers, &ciba.LetterWorker{Requests: s.asked, Issuer: s.cfg.Issuer, Post: postman}),
		river.AddWorkerSafely(workers, &ciba.PingWorker{Requests: s.asked, Clients: s.clients, Sender: s.outbound}),
		river.AddWorkerSafely(workers, &forgot.Worker{DB: s.db, Links: s.links, Users: s.accounts, Jobs: s.jobs, Reset: resetLinks()}),
	} {
		if err != nil {
			return nil, fmt.Errorf("the job workers: %w", err)
		}
	}
	return jobs.NewCrew(s.db, schema, workers, s.log, s.metrics)
}

// holders reaches the APIs that hold data of people, in our own network too:
// their addresses are the operator's.
func (s *server) holders() *outbound.Client {
	return outbound.New(outbound.Config{Timeout: holderTimeout, MaxBody: holderBody, AllowPrivate: true})
}

// prefers is the language of whoever has an address.
func (s *server) prefers(ctx context.Context, address string) (string, error) {
	u, err := s.accounts.ByEmail(ctx, address)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return u.Locale(), nil
}

// work does jobs once the start is complete.
func (s *server) work(ctx context.Context) {
	for s.boot.pending() != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(bootLook):
		}
	}
	s.crew.Run(ctx)
}

func (s *server) registrations() *register.Registrations {
	return &register.Registrations{DB: s.db, Accounts: s.accounts, Links: s.links, Jobs: s.jobs}
}

func resetLinks() forgot.Reset {
	return forgot.Reset{Purpose: account.ResetPurpose, Life: account.ResetLife}
}

// mountPeople adds the pages by which people make and look after an account.
func (s *server) mountPeople(rt *web.Router, devices session.Devices, flows *flow.Flows, identity privacy.Identity) {
	limiter := s.limiter()
	(&register.Handler{
		Registrations: s.registrations(), Flows: flows, Devices: devices, Pages: s.pages, Limits: limiter, Source: limit.Source,
	}).Mount(rt)
	(&forgot.Handler{
		Accounts: s.accounts, Links: s.links, Queue: s.jobs, Flows: flows, Pages: s.pages, Limits: limiter, Reset: resetLinks(), Source: limit.Source,
	}).Mount(rt)
	(&strength.Handler{Pages: s.pages, Limits: limiter, Source: limit.Source}).Mount(rt.With(web.Problem))
	(&session.Handler{Sessions: s.sessions, Pages: s.pages, Audit: s.audit, Source: limit.Source, Now: s.now}).Mount(rt)
	(&consent.AppHandler{
		Consents: s.consents(), Sessions: s.sessions, Clients: s.clients, Names: s.detailNames(), Pages: s.pages, Issuer: s.cfg.Issuer,
	}).Mount(rt)
	(&privacy.Handler{
		DB: s.db, Sessions: s.sessions, Accounts: s.accounts, Identity: identity, Pages: s.pages, Audit: s.audit, Source: limit.Source, Now: s.now,
		More: []privacy.Part{
			{Name: "sessions", Read: func(ctx context.Context, user id.ID) (any, error) { return s.sessions.List(ctx, user) }},
			{Name: "second_factors", Read: s.factors.Export},
			{Name: "passkeys", Read: s.passkeys.Export},
			{Name: "api_keys", Read: func(ctx context.Context, user id.ID) (any, error) { return s.ownKeys.List(ctx, user) }},
			{Name: "linked_accounts", Read: func(ctx context.Context, user id.ID) (any, error) { return s.linked.List(ctx, user) }},
			{Name: "message_factors", Read: s.codes.Export},
			{Name: "backchannel_requests", Read: s.asked.Export},
			{Name: "device_approvals", Read: s.devices.Export},
			{Name: "apis", Read: (&holder.Holdings{Holders: s.cfg.Holders, Fetcher: s.holders(), Sign: s.provider.SignForPerson, Log: s.log}).Of},
		},
	}).Mount(rt)
}

// mountKeys adds the page of the API keys that people make for themselves. The
// APIs that hold data of people are those that know their families.
func (s *server) mountKeys(rt *web.Router, factors personkey.Factors) {
	families := &personkey.Families{Fetcher: s.holders(), Sign: s.provider.SignForPerson}
	for _, at := range s.cfg.Holders {
		families.APIs = append(families.APIs, personkey.API{Resource: at.Resource, Address: at.Address})
	}
	(&personkey.Handler{
		Keys: s.ownKeys, Families: families, Scopes: s.cfg.apiScopes(), Sessions: s.sessions, Users: s.accounts, Factors: factors, Pages: s.pages,
	}).Mount(rt)
}
