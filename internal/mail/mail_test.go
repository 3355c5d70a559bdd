package mail_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"larder/internal/brand"
	"larder/internal/jobs"
	"larder/internal/language"
	"larder/internal/link"
	"larder/internal/loopback"
	"larder/internal/mail"
	"larder/internal/pgtest"
	"larder/internal/postgres"
	"larder/internal/secret"
	"larder/templates"
)

func from() *netmail.Address {
	return &netmail.Address{Name: "Larder", Address: "no-reply@larder.example"}
}

// server is a mail server that keeps what it is given.
type server struct {
	mu     sync.Mutex
	mails  []string
	reject error // what it answers to a recipient
}

func (s *server) NewSession(*smtp.Conn) (smtp.Session, error) { return &conversation{s}, nil }

type conversation struct{ *server }

func (c *conversation) Mail(string, *smtp.MailOptions) error { return nil }
func (c *conversation) Reset()                               {}
func (c *conversation) Logout() error                        { return nil }

func (c *conversation) Rcpt(string, *smtp.RcptOptions) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reject
}

func (c *conversation) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mails = append(c.mails, string(raw))
	return err
}

func (s *server) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

// listen serves mail at an address, with TLS on demand if there is a config.
func (s *server) listen(t *testing.T, addr string, config *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, ln, config)
	return ln.Addr().String()
}

func (s *server) serve(t *testing.T, ln net.Listener, config *tls.Config) {
	t.Helper()
	srv := smtp.NewServer(s)
	srv.Domain, srv.TLSConfig = "localhost", config
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
}

// certificate is one of a server at an address, signed by nobody but itself.
func certificate(t *testing.T, ip net.IP) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{ip},
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
}

// office is a queue with its workers.
type office struct {
	db    *pgtest.DB
	queue *jobs.Queue
	links *link.Links
}

func newOffice(t *testing.T) *office {
	t.Helper()
	db := pgtest.New(t)
	queue, err := jobs.NewQueue(db.Auth, "auth", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	key := bytes.Repeat([]byte{7}, 32)
	return &office{db: db, queue: queue, links: &link.Links{
		DB: db.Auth, Issuer: "https://login.example.com", Keys: func() [][]byte { return [][]byte{key} }, Now: time.Now,
	}}
}

// open begins work; the crew stops with the returned function.
func (o *office) open(t *testing.T, sender mail.Sender) (stop func()) {
	t.Helper()
	languages, err := language.Load(templates.Languages(), language.Brand)
	if err != nil {
		t.Fatal(err)
	}
	composer, err := mail.NewComposer(languages, brand.Brand{Name: language.Brand, Light: "#1d4ed8", Contact: "help@larder.example"})
	if err != nil {
		t.Fatal(err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &mail.Worker{Postman: &mail.Postman{Composer: composer, Links: o.links, Sender: sender}})
	crew, err := jobs.NewCrew(o.db.Auth, "auth", workers, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); crew.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func (o *office) write(t *testing.T, l mail.Letter) {
	t.Helper()
	if err := postgres.InTx(t.Context(), o.db.Auth, func(tx pgx.Tx) error { return o.queue.Insert(t.Context(), tx, l) }); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func news() mail.Letter {
	return mail.Letter{Template: "password_changed", To: "ada@example.com", Name: "Ada \"Bäcker\"", Facts: map[string]string{"when": "today <now>"}}
}

// I11 of the fault cases.
func TestAMailServerThatIsAwayDelaysTheMailOnly(t *testing.T) {
	o := newOffice(t)
	addr, release, err := loopback.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	sender, err := mail.ParseSMTP(secret.String("smtp://"+addr+"?tls=none"), from(), false)
	if err != nil {
		t.Fatal(err)
	}
	o.open(t, sender)
	began := time.Now()
	o.write(t, news())
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("queueing took %v", took)
	}
	eventually(t, "nobody tried to send", func() bool {
		var tried int
		_ = o.db.Owner.QueryRow(t.Context(), `SELECT coalesce(max(attempt), 0) FROM auth.river_job WHERE state = 'retryable'`).Scan(&tried)
		return tried > 0
	})
	srv := &server{}
	srv.listen(t, addr, nil)
	eventually(t, "the mail did not come", func() bool { return len(srv.received()) == 1 })
	raw := srv.received()[0]
	if i := strings.IndexFunc(raw, func(r rune) bool { return r > '~' }); i >= 0 {
		t.Errorf("not every server takes this, which is not 7-bit: %q", raw[i:])
	}
	got := raw + decoded(t, raw)
	for _, want := range []string{"To: ", "ada@example.com", "Subject: Your Larder password was changed", "Auto-Submitted: auto-generated", "@larder.example>", "today <now>", "today &lt;now&gt;", "Bäcker", "Help: help@larder.example", "color:#1d4ed8"} {
		if !strings.Contains(got, want) {
			t.Errorf("the mail has no %q:\n%s", want, got)
		}
	}
}

// decoded is what the parts of a mail say.
func decoded(t *testing.T, raw string) string {
	t.Helper()
	msg, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for parts := multipart.NewReader(msg.Body, params["boundary"]); ; {
		part, err := parts.NextPart() // which decodes quoted-printable
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&text, part); err != nil {
			t.Fatal(err)
		}
	}
}

func TestATransactionThatFailsSendsNothing(t *testing.T) {
	o := newOffice(t)
	srv := &server{}
	sender, err := mail.ParseSMTP(secret.String("smtp://"+srv.listen(t, "127.0.0.1:0", nil)+"?tls=none"), from(), false)
	if err != nil {
		t.Fatal(err)
	}
	o.open(t, sender)
	failed := errors.New("no")
	err = postgres.InTx(t.Context(), o.db.Auth, func(tx pgx.Tx) error {
		if err := o.queue.Insert(t.Context(), tx, news()); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	o.write(t, mail.Letter{Template: "email_taken", To: "ada@example.com"})
	eventually(t, "the mail did not come", func() bool { return len(srv.received()) > 0 })
	if got := srv.received(); len(got) != 1 || strings.Contains(got[0], "password was changed") {
		t.Errorf("%d mails were sent: %s", len(got), got)
	}
}

func TestARefusedRecipientIsNotTriedAgain(t *testing.T) {
	o := newOffice(t)
	srv := &server{reject: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}}
	sender, err := mail.ParseSMTP(secret.String("smtp://"+srv.listen(t, "127.0.0.1:0", nil)+"?tls=none"), from(), false)
	if err != nil {
		t.Fatal(err)
	}
	o.open(t, sender)
	o.write(t, news())
	eventually(t, "the letter is still to be sent", func() bool {
		var n int
		_ = o.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.river_job WHERE state = 'cancelled' AND attempt = 1`).Scan(&n)
		return n == 1
	})
}

func TestNothingIsSentWithoutTLSOrToAServerThatProvesNothing(t *testing.T) {
	for name, config := range map[string]*tls.Config{"no TLS": nil, "a certificate that nobody signed": certificate(t, net.IPv4(127, 0, 0, 1))} {
		srv := &server{}
		sender, err := mail.ParseSMTP(secret.String("smtp://user:hunter2@"+srv.listen(t, "127.0.0.1:0", config)), from(), false)
		if err != nil {
			t.Fatal(err)
		}
		err = sender.Send(t.Context(), mail.Message{ID: "1", At: time.Now(), To: "ada@example.com", Subject: "s", Text: "t", HTML: "h"})
		if err == nil || len(srv.received()) != 0 || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %d mails", name, err, len(srv.received()))
		}
	}
	for _, bad := range []string{"smtp://mail.example.com?tls=none", "http://mail.example.com", "mail.example.com", "smtps://", "smtp://user:hunter2@mail.example.com:x"} {
		if _, err := mail.ParseSMTP(secret.String(bad), from(), false); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Both ways of TLS deliver, and both ask the server for its name.
func TestMailGoesOverTLSToAServerThatProvesItsName(t *testing.T) {
	for _, scheme := range []string{"smtp", "smtps"} {
		for _, ip := range []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2)} {
			config, srv := certificate(t, ip), &server{}
			leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(leaf)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if scheme == "smtps" { // from the first byte, and no other on demand
				srv.serve(t, tls.NewListener(ln, config), nil)
			} else {
				srv.serve(t, ln, config)
			}
			sender, err := mail.ParseSMTP(secret.String(scheme+"://"+ln.Addr().String()), from(), false)
			if err != nil {
				t.Fatal(err)
			}
			sender.Trust(roots)
			err = sender.Send(t.Context(), mail.Message{ID: "1", At: time.Now(), To: "ada@example.com", Subject: "s", Text: "t", HTML: "h"})
			right := ip.Equal(net.IPv4(127, 0, 0, 1))
			if n := len(srv.received()); right != (err == nil) || right != (n == 1) {
				t.Errorf("%s, a certificate for %s: %v, %d mails", scheme, ip, err, n)
			}
		}
	}
}

// Promise 12: nothing lost, and what is sent again is the same file.
func TestLettersSurviveWorkersThatStop(t *testing.T) {
	o := newOffice(t)
	dir := filepath.Join(t.TempDir(), "mail")
	const rounds, each = 20, 5
	for range rounds {
		stop := o.open(t, mail.Directory{Path: dir, From: from()})
		for range each {
			o.write(t, news())
		}
		stop()
	}
	o.open(t, mail.Directory{Path: dir, From: from()})
	count := func() int {
		files, _ := filepath.Glob(filepath.Join(dir, "*.eml"))
		return len(files)
	}
	eventually(t, "letters are missing", func() bool { return count() >= rounds*each })
	time.Sleep(300 * time.Millisecond)
	if n := count(); n != rounds*each {
		t.Errorf("there are %d mails, want %d", n, rounds*each)
	}
}

func TestALetterWhoseLinkIsOverIsNotSentAndAnotherHoldsItOnce(t *testing.T) {
	o := newOffice(t)
	issue := func(subject string) *mail.Link {
		linkID, err := o.links.Issue(t.Context(), o.db.Auth, link.New{Purpose: "reset", Subject: subject, Life: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return &mail.Link{Purpose: "reset", Path: "/forgot", ID: linkID}
	}
	dead, good := issue("a"), issue("b")
	if err := link.DropAll(t.Context(), o.db.Auth, "a"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o.open(t, mail.Directory{Path: dir, From: from()})
	o.write(t, mail.Letter{Template: "reset", To: "ada@example.com", Link: dead})
	o.write(t, mail.Letter{Template: "reset", To: "ada@example.com", Link: good})
	eventually(t, "the jobs are not done", func() bool {
		var n int
		_ = o.db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM auth.river_job WHERE state = 'completed'`).Scan(&n)
		return n == 2
	})
	files, _ := filepath.Glob(filepath.Join(dir, "*.eml"))
	if len(files) != 1 {
		t.Fatalf("%d mails were sent", len(files))
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	target, err := o.links.URL(good.Path, good.Purpose, good.ID)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), target); n != 2 || strings.Count(string(raw), "login.example.com") != 2 {
		t.Errorf("the link stands %d times in the mail, want once in each form:\n%s", n, raw)
	}
	var stored string
	if err := o.db.Owner.QueryRow(t.Context(), `SELECT string_agg(args::text, '') FROM auth.river_job`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if token := target[strings.LastIndexByte(target, '/')+1:]; strings.Contains(stored, token) {
		t.Error("the token lies in the database")
	}
}

func TestEveryMailCanBeWritten(t *testing.T) {
	names, err := fs.Glob(templates.Mail(), "*.txt")
	if err != nil {
		t.Fatal(err)
	}
	o := newOffice(t)
	dir := t.TempDir()
	o.open(t, mail.Directory{Path: dir, From: from()})
	facts := map[string]string{"device": "Firefox on Linux", "where": "Lyon, France", "when": "2 January 2026", "new": "new@example.com", "subject": "Something changed", "what": "something changed", "code": "123456", "key": "Scale", "family": "The Bakers", "page": "https://login.example.com/account/requests"}
	written := 0
	for _, name := range names {
		if name == "layout.txt" {
			continue
		}
		written++
		o.write(t, mail.Letter{Template: strings.TrimSuffix(name, ".txt"), To: "ada@example.com", Name: "Ada", Facts: facts})
	}
	eventually(t, "some mail could not be written", func() bool {
		files, _ := filepath.Glob(filepath.Join(dir, "*.eml"))
		return len(files) == written
	})
}
