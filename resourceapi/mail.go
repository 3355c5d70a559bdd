package main

import (
	"context"
	"log/slog"
	netmail "net/mail"
	"net/url"

	"larder/internal/brand"
	"larder/internal/env"
	"larder/internal/language"
	"larder/internal/mail"
	"larder/internal/sealed"
	"larder/internal/secret"
	"larder/resourceapi/invite"
	"larder/templates"
)

// MailConfig is what an operator decides about invitations by e-mail. Without a
// page and a way to send there are none.
type MailConfig struct {
	Brand         brand.Brand      // of the mails: its name
	InvitationURL string           // the front end's page that takes an invitation, "" for none
	SMTP          *mail.SMTP       // nil without a mail server
	Dir           string           // where mails land in development, "" for nowhere
	From          *netmail.Address // whom they come from
}

func readMail(r *env.Reader, resource string, development bool) MailConfig {
	c := MailConfig{Brand: brand.Larder(), Dir: r.String("RESOURCEAPI_MAIL_DIR")}
	if name := r.String("RESOURCEAPI_BRAND_NAME"); name != "" {
		if err := brand.CheckName(name); err != nil {
			r.Fault("RESOURCEAPI_BRAND_NAME", "%v", err)
		} else {
			c.Brand.Name = name
		}
	}
	c.From = &netmail.Address{Name: c.Brand.Name, Address: "no-reply@localhost"}
	if u, err := url.Parse(resource); err == nil && u.Hostname() != "" {
		c.From.Address = "no-reply@" + u.Hostname()
	}
	if v := r.String("RESOURCEAPI_MAIL_FROM"); v != "" {
		from, err := netmail.ParseAddress(v)
		if err != nil {
			r.Fault("RESOURCEAPI_MAIL_FROM", "must be such as Larder <no-reply@example.com>")
		} else {
			c.From = from
		}
	}
	if v := r.String("RESOURCEAPI_SMTP_URL"); v != "" {
		smtp, err := mail.ParseSMTP(secret.String(v), c.From, development)
		if err != nil {
			r.Fault("RESOURCEAPI_SMTP_URL", "%v", err)
		}
		c.SMTP = smtp
	}
	if v := r.String("RESOURCEAPI_INVITATION_URL"); v != "" {
		u, err := url.Parse(v)
		if err != nil || u.Host == "" || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !development) {
			r.Fault("RESOURCEAPI_INVITATION_URL", "must be an https address without a fragment, such as https://app.example.com/join")
		}
		c.InvitationURL = v
	}
	return c
}

// newMails returns what sends invitations, which sends none where the operator
// named no way to.
func (s *server) newMails(ctx context.Context, keys *sealed.Keyring) (*invite.Mails, error) {
	c := s.cfg.Mail
	m := invite.Mails{DB: s.tenants, Keys: keys, Leases: s.quotas.Leases, Log: s.log, Page: c.InvitationURL}
	var sender mail.Sender
	switch {
	case c.SMTP != nil:
		sender = c.SMTP
	case c.Dir != "":
		sender = mail.Directory{Path: c.Dir, From: c.From}
	default:
		return invite.NewMails(m), nil
	}
	if c.InvitationURL == "" {
		s.log.LogAttrs(ctx, slog.LevelWarn, "no invitations are mailed: set RESOURCEAPI_INVITATION_URL to the page that takes them")
	}
	languages, err := language.Load(templates.Languages(), c.Brand.Name)
	if err != nil {
		return nil, err
	}
	composer, err := mail.NewComposer(languages, c.Brand)
	m.Delivery = &mail.Postman{Composer: composer, Sender: sender}
	return invite.NewMails(m), err
}
