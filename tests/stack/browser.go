package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

const maxRedirects = 10

// Browser is a person's browser without JavaScript: it keeps cookies, follows redirects inside the authserver and fills
// in forms. At a redirect to anybody else, such as a relying party's callback, it stops and shows where it was sent.
type Browser struct {
	home   string // the issuer's origin
	client *http.Client
}

// NewBrowser opens a browser that has never been here.
func (s *Stack) NewBrowser() *Browser {
	jar, _ := cookiejar.New(nil) // without options it cannot fail
	return &Browser{home: s.Issuer, client: caller(jar)}
}

// Page is what the browser shows.
type Page struct {
	*Response
	URL *url.URL
	// Left is the address outside the authserver that the last answer sent the browser to, not fetched; nil when it
	// stayed.
	Left  *url.URL
	Title string
	// Alert is the text of the element with role="alert".
	Alert string
	Forms []Form
}

// Form is a form of a page, with the values that its inputs have.
type Form struct {
	Method, Action string
	Fields         url.Values
	// Boxes holds the names of the checkboxes that are not ticked.
	Boxes []string
	// Buttons holds the values of the buttons called action.
	Buttons []string
}

// Cookies are those that the browser would send to the authserver.
func (b *Browser) Cookies() []*http.Cookie {
	home, err := url.Parse(b.home)
	if err != nil {
		return nil
	}
	return b.client.Jar.Cookies(home)
}

// Open goes to an address: a path of the authserver, or a whole URL.
func (b *Browser) Open(ctx context.Context, target string) (*Page, error) {
	if strings.HasPrefix(target, "/") {
		target = b.home + target
	}
	return b.visit(ctx, http.MethodGet, target, nil)
}

// Text is what a person reads on the page.
func (p *Page) Text() string {
	root, err := html.Parse(bytes.NewReader(p.Body))
	if err != nil {
		return ""
	}
	return text(root)
}

// Has reports whether the page has a button called action with the value.
func (p *Page) Has(action string) bool { return p.form(action) != nil }

// Field reports whether the page has an input of the name.
func (p *Page) Field(name string) bool {
	for _, f := range p.Forms {
		if f.Fields.Has(name) {
			return true
		}
	}
	return false
}

func (p *Page) form(action string) *Form {
	for i := range p.Forms {
		if slices.Contains(p.Forms[i].Buttons, action) {
			return &p.Forms[i]
		}
	}
	return nil
}

// Press fills in the form that has the button and presses it. Fields come as name, value pairs and must be there.
func (b *Browser) Press(ctx context.Context, page *Page, action string, fields ...string) (*Page, error) {
	form := page.form(action)
	if form == nil {
		return nil, fmt.Errorf("the page %s has no button %q:\n%s", page.URL, action, page.Response)
	}
	values := url.Values{}
	maps.Copy(values, form.Fields)
	for i := 0; i+1 < len(fields); i += 2 {
		if !values.Has(fields[i]) && !slices.Contains(form.Boxes, fields[i]) {
			return nil, fmt.Errorf("the form of %s has no input %q", page.URL, fields[i])
		}
		values.Set(fields[i], fields[i+1])
	}
	values.Set("action", action)
	target, err := page.URL.Parse(form.Action)
	if err != nil {
		return nil, err
	}
	if form.Method == http.MethodGet {
		target.RawQuery = values.Encode()
		return b.visit(ctx, http.MethodGet, target.String(), nil)
	}
	return b.visit(ctx, http.MethodPost, target.String(), values)
}

// SignIn signs in at the sign-in page that is shown, or at /login when page is nil.
func (b *Browser) SignIn(ctx context.Context, page *Page, email, password string) (*Page, error) {
	if page == nil {
		var err error
		if page, err = b.Open(ctx, "/login"); err != nil {
			return nil, err
		}
	}
	return b.Press(ctx, page, "login", "email", email, "password", password)
}

func (b *Browser) visit(ctx context.Context, method, target string, form url.Values) (*Page, error) {
	header := http.Header{"Accept": {"text/html"}, "Sec-Fetch-Site": {"none"}, "Sec-Fetch-Mode": {"navigate"}}
	if method == http.MethodPost {
		header.Set("Sec-Fetch-Site", "same-origin")
		header.Set("Origin", b.home)
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	body := strings.NewReader(form.Encode())
	for range maxRedirects {
		at, err := url.Parse(target)
		if err != nil {
			return nil, err
		}
		resp, err := sendWith(ctx, b.client, method, target, header, body)
		if err != nil {
			return nil, err
		}
		if resp.Status < 300 || resp.Status > 399 || resp.Header.Get("Location") == "" {
			return read(resp, at)
		}
		next, err := at.Parse(resp.Header.Get("Location"))
		if err != nil {
			return nil, err
		}
		if next.Scheme+"://"+next.Host != b.home {
			return &Page{Response: resp, URL: at, Left: next}, nil
		}
		// 302 and 303 turn into GET, which is all the authserver sends.
		method, target, body = http.MethodGet, next.String(), strings.NewReader("")
		header.Del("Content-Type")
		header.Del("Origin")
	}
	return nil, errors.New("too many redirects, the last to " + target)
}

// read finds the forms, the title and the alert of a page.
func read(resp *Response, at *url.URL) (*Page, error) {
	page := &Page{Response: resp, URL: at}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return page, nil
	}
	root, err := html.Parse(bytes.NewReader(resp.Body))
	if err != nil {
		return nil, err
	}
	form := -1
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		outer := form
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "form":
			method := strings.ToUpper(attribute(n, "method"))
			if method == "" {
				method = http.MethodGet
			}
			page.Forms = append(page.Forms, Form{Method: method, Action: attribute(n, "action"), Fields: url.Values{}})
			form = len(page.Forms) - 1
		case n.Data == "title" && page.Title == "":
			page.Title = text(n)
		case attribute(n, "role") == "alert" && page.Alert == "":
			page.Alert = text(n)
		}
		if form >= 0 {
			page.Forms[form].take(n)
		}
		for child := range n.ChildNodes() {
			walk(child)
		}
		form = outer
	}
	walk(root)
	return page, nil
}

// take adds an input or a button to the form.
func (f *Form) take(n *html.Node) {
	name, value := attribute(n, "name"), attribute(n, "value")
	switch {
	case n.Type != html.ElementNode || name == "":
	case n.Data == "button" && name == "action":
		f.Buttons = append(f.Buttons, value)
	case n.Data == "input" && attribute(n, "type") == "checkbox" && !has(n, "checked"):
		f.Boxes = append(f.Boxes, name)
	case n.Data == "input":
		f.Fields.Add(name, value)
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// text is what a person reads inside the node.
func text(n *html.Node) string {
	var b strings.Builder
	for inner := range n.Descendants() {
		if inner.Type == html.TextNode {
			b.WriteString(inner.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
