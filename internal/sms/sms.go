package sms

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"larder/internal/secret"
)

// Message is a text message.
type Message struct {
	ID   string // the same at each attempt
	To   string // E.164, such as +4915112345678
	Text string
}

// RefusedError says that the provider wants neither this message nor its like.
type RefusedError struct{ Status int }

func (e *RefusedError) Error() string { return fmt.Sprintf("the message was refused: %d", e.Status) }

// Number reads a telephone number as people write it, with its country code, and
// returns it in E.164. ok is false when it is none.
func Number(text string) (number string, ok bool) {
	number = strings.NewReplacer(" ", "", "-", "", ".", "", "/", "", "(", "", ")", "", "\u00a0", "").Replace(text)
	if rest, found := strings.CutPrefix(number, "00"); found {
		number = "+" + rest
	}
	ok, err := regexp.MatchString(`^\+[1-9][0-9]{6,14}$`, number)
	return number, ok && err == nil
}

// Poster sends an HTTP request, as outbound.Client does.
type Poster interface {
	Post(ctx context.Context, address string, header http.Header, body []byte) (status int, err error)
}

// Gateway is a provider that speaks Twilio's REST API. Make it with ParseGateway.
type Gateway struct {
	post    Poster
	address string
	from    string
	account string
	token   secret.String
}

// ParseGateway reads https://ACCOUNT:TOKEN@api.twilio.com?from=+4915112345678;
// from may be a number or a sender's name. Its errors do not repeat the token.
func ParseGateway(address secret.String, development bool) (*Gateway, error) {
	u, err := url.Parse(address.Reveal())
	wrong := errors.New("must be such as https://ACCOUNT:TOKEN@api.twilio.com?from=%2B4915112345678")
	if err != nil || u.Hostname() == "" || u.User == nil || u.Scheme != "https" && (u.Scheme != "http" || !development) {
		return nil, wrong
	}
	token, _ := u.User.Password()
	g := &Gateway{account: u.User.Username(), token: secret.String(token), from: strings.TrimSpace(u.Query().Get("from"))}
	if rest := u.Query().Get("from"); strings.HasPrefix(rest, " ") { // a plus sign in a query means a space
		g.from = "+" + strings.TrimSpace(rest)
	}
	if g.account == "" || g.token == "" || g.from == "" {
		return nil, wrong
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/")}
	g.address = base.String() + "/2010-04-01/Accounts/" + url.PathEscape(g.account) + "/Messages.json"
	return g, nil
}

// Over returns the gateway as it is reached by post.
func (g *Gateway) Over(post Poster) *Gateway {
	over := *g
	over.post = post
	return &over
}

// Send sends a message. What no repetition will mend is a *RefusedError.
func (g *Gateway) Send(ctx context.Context, m Message) error {
	header := http.Header{
		"Content-Type":  {"application/x-www-form-urlencoded"},
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(g.account+":"+g.token.Reveal()))},
	}
	status, err := g.post.Post(ctx, g.address, header, []byte(url.Values{"To": {m.To}, "From": {g.from}, "Body": {m.Text}}.Encode()))
	switch {
	case err != nil:
		return err
	case status == http.StatusCreated || status == http.StatusOK:
		return nil
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusUnauthorized:
		return &RefusedError{status}
	}
	return fmt.Errorf("the provider of text messages answered %d", status)
}

// Directory writes messages as files, for development.
type Directory struct{ Path string }

// Send writes a file, whole or not at all, and once however often it is called.
func (d Directory) Send(_ context.Context, m Message) error {
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	half := filepath.Join(d.Path, "."+m.ID+".half")
	if err := os.WriteFile(half, []byte("To: "+m.To+"\n\n"+m.Text+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(half, filepath.Join(d.Path, m.ID+".txt"))
}
