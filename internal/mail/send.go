package mail

import (
	"context"
	"errors"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"larder/internal/secret"
)

const sendTimeout = 20 * time.Second

// SMTP sends through a mail server. Make it with ParseSMTP.
type SMTP struct {
	host    string
	options []gomail.Option
	from    *mail.Address
}

// ParseSMTP reads smtps://user:password@host:465 (TLS at once, RFC 8314 §3.3)
// or smtp://user:password@host:587, which begins TLS (RFC 3207) and sends
// nothing without it. ?tls=none leaves it out, to a server on loopback or, in
// development, to any. Its errors do not repeat the password.
func ParseSMTP(address secret.String, from *mail.Address, development bool) (*SMTP, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("must be smtp://user:password@host:587 or smtps://user:password@host:465")
	}
	s := &SMTP{host: u.Hostname(), from: from, options: []gomail.Option{gomail.WithTimeout(sendTimeout)}}
	port := 587
	switch {
	case u.Scheme == "smtps":
		port = 465
		s.options = append(s.options, gomail.WithSSL())
	case u.Scheme == "smtp" && u.Query().Get("tls") == "none":
		if ip := net.ParseIP(s.host); s.host != "localhost" && !ip.IsLoopback() && !development {
			return nil, errors.New("tls=none is for a mail server on loopback, or for development")
		}
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.NoTLS))
	case u.Scheme == "smtp":
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		return nil, errors.New("must begin with smtp:// or smtps://")
	}
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, errors.New("the port must be a number")
		}
	}
	s.options = append(s.options, gomail.WithPort(port))
	if u.User != nil {
		password, _ := u.User.Password()
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	return s, nil
}

// Send implements Sender over a connection of its own.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	// What is 7-bit every server takes, and none on the way writes anew, which would break signatures (RFC 6376 §5.3).
	msg, err := format(m, s.from, gomail.EncodingQP)
	if err != nil {
		return &RefusedError{err}
	}
	client, err := gomail.NewClient(s.host, s.options...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err = client.DialAndSendWithContext(ctx, msg)
	if failed, ok := errors.AsType[*gomail.SendError](err); ok && !failed.IsTemp() && failed.Reason == gomail.ErrSMTPRcptTo {
		return &RefusedError{err}
	}
	return err
}

// Directory writes mails as files, for development.
type Directory struct {
	Path string
	From *mail.Address
}

// Send implements Sender: a mail is there whole or not at all, and once however
// often it is sent.
func (d Directory) Send(_ context.Context, m Message) error {
	// Each line stands in the file as it was written, and a link is never broken over two.
	msg, err := format(m, d.From, gomail.NoEncoding)
	if err != nil {
		return &RefusedError{err}
	}
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(d.Path, ".half-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	_, err = msg.WriteTo(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(d.Path, m.ID+".eml"))
}

// Nowhere refuses to send, for a server without any way to: its letters wait.
type Nowhere struct{}

// Send implements Sender.
func (Nowhere) Send(context.Context, Message) error {
	return errors.New("no way to send mail is configured")
}

func format(m Message, from *mail.Address, encoding gomail.Encoding) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithEncoding(encoding), gomail.WithNoDefaultUserAgent())
	to := mail.Address{Name: m.Name, Address: m.To}
	if err := errors.Join(msg.From(from.String()), msg.To(to.String())); err != nil {
		return nil, err
	}
	_, host, _ := strings.Cut(from.Address, "@")
	msg.SetMessageIDWithValue(m.ID + "@" + host)
	msg.SetDateWithValue(m.At)
	msg.Subject(m.Subject)
	msg.SetGenHeader(gomail.Header("Auto-Submitted"), "auto-generated") // RFC 3834 §5
	msg.SetGenHeader(gomail.Header("Content-Language"), m.Language)
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg, nil
}
