package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"larder/internal/devstack/demo"
	"larder/tests/stack"
)

// The handlers of the limit server.
const (
	pathDiscovery     = "/discovery"
	pathJWKS          = "/jwks"
	pathSign          = "/sign"
	pathRotate        = "/rotate/"
	pathIntrospection = "/introspection"
	pathVerify        = "/verify"
	pathList          = "/list"
	pathInsert        = "/insert"
	pathCheck         = "/check/"
)

// listSize is how many items the list has that is read.
const listSize = 50

// row is one line of work in the table.
type row struct {
	name    string
	host    string
	scripts []script
	// limits are the handlers of the limit server that stand for the work; the first gives the ratio.
	limits []bound
	// ceiling, if not nil, stands for the work instead: how often a second the machine can do it.
	ceiling func(now func() time.Time) float64
	target  target
}

// bound is one limit: what it does, where, and how its requests look.
type bound struct {
	name    string
	host    string // "" for the limit server
	path    string // there
	scripts []script
}

// target is what 16 connections are to reach; zero members are not asked for.
type target struct {
	ratio, perSecond float64
	p50              float64 // ms
}

// targetConnections is where the targets hold.
const targetConnections = 16

// request is a request that a service and its limit get alike, but for host and target.
type request struct {
	method, target, body string
	headers              []string
}

func (q request) to(host, target string) []byte {
	return message(q.method, host, target, q.body, q.headers...)
}

// shop is a prepared stack: everyone signed in, lists filled.
type shop struct {
	*stack.Stack
	browser     *stack.Browser
	ada         demo.User
	web         *stack.Client
	connections int
}

const (
	webScope = "openid offline_access family:read lists:read lists:write"
	form     = "Content-Type: application/x-www-form-urlencoded"
)

// signIn signs Ada in and gives the consent that every later authorization builds on.
func signIn(ctx context.Context, s *stack.Stack, connections int) (*shop, error) {
	ada, ok := s.Demo.User(demo.Admin)
	if !ok {
		return nil, errors.New("the demo has no admin")
	}
	p := &shop{Stack: s, browser: s.NewBrowser(), ada: ada, web: s.Client(s.Demo.Clients.Web), connections: connections}
	_, err := p.token(ctx)
	return p, err
}

// token is a fresh grant of Ada's.
func (p *shop) token(ctx context.Context) (*stack.Tokens, error) {
	return p.web.Authorize(ctx, p.browser, p.ada, webScope, url.Values{"resource": {p.API}})
}

// rows prepares every row. The access tokens in them live for five minutes, which is longer than the run.
func (p *shop) rows(ctx context.Context) ([]row, error) {
	tokens, err := p.token(ctx)
	if err != nil {
		return nil, err
	}
	issuer, api := host(p.Issuer), host(p.API)
	machine := p.Client(p.Demo.Clients.Machine)
	rows := []row{
		fixed("client_credentials", issuer, pathSign, target{ratio: 0.85}, request{
			http.MethodPost, "/token", "grant_type=client_credentials&scope=lists%3Aread", []string{basic(machine), form},
		}),
	}
	refresh, err := p.refresh(ctx)
	if err != nil {
		return nil, err
	}
	introspect := request{
		http.MethodPost, "/introspect", "token=" + tokens.AccessToken, []string{basic(p.ResourceServer()), form},
	}
	introspection := fixed("introspection", issuer, pathIntrospection, target{perSecond: 6000}, introspect)
	introspection.limits = append(introspection.limits, bound{
		name: "one ES256 verification", path: pathVerify, scripts: []script{{Requests: [][]byte{introspect.to(issuer, pathVerify)}}},
	})
	rows = append(rows, refresh, introspection, p.codeFlow(),
		fixed("jwks", issuer, pathJWKS, target{ratio: 0.9}, request{method: http.MethodGet, target: "/jwks"}),
		fixed("discovery", issuer, pathDiscovery, target{ratio: 0.9},
			request{method: http.MethodGet, target: "/.well-known/openid-configuration"}))
	list, check, err := p.lists(ctx, tokens.AccessToken, api)
	return append(rows, list, check), err
}

// fixed is a row of one request for all connections.
func fixed(name, at, limitPath string, want target, q request) row {
	return row{
		name: name, host: at, target: want,
		scripts: []script{{Requests: [][]byte{q.to(at, q.target)}}},
		limits:  []bound{{path: limitPath, scripts: []script{{Requests: [][]byte{q.to(at, limitPath)}}}}},
	}
}

// refresh gives each connection a grant of its own, made by the real code flow.
func (p *shop) refresh(ctx context.Context) (row, error) {
	at := host(p.Issuer)
	r := row{name: "refresh rotation", host: at, target: target{ratio: 0.75}, limits: []bound{{path: pathRotate}}}
	for n := range p.connections {
		tokens, err := p.token(ctx)
		if err != nil {
			return row{}, err
		}
		if tokens.RefreshToken == "" {
			return row{}, errors.New("the code flow gave no refresh token")
		}
		body := "grant_type=refresh_token&refresh_token="
		headers := []string{basic(p.web), form}
		r.scripts = append(r.scripts, script{
			Post: head(http.MethodPost, at, "/token", headers...), Form: []byte(body), Token: tokens.RefreshToken,
		})
		q := request{http.MethodPost, "", body + tokens.RefreshToken, headers}
		r.limits[0].scripts = append(r.limits[0].scripts, script{
			Requests: [][]byte{q.to(at, fmt.Sprintf("%s%d", pathRotate, n))},
		})
	}
	return r, nil
}

// codeFlow is authorization with the session's cookie, and the exchange of the code.
func (p *shop) codeFlow() row {
	at := host(p.Issuer)
	attempt := p.web.Begin(webScope, url.Values{"resource": {p.API}})
	var cookies []string
	for _, c := range p.browser.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	body := url.Values{
		"grant_type": {"authorization_code"}, "redirect_uri": {p.web.RedirectURI}, "code_verifier": {attempt.Verifier},
	}
	return row{
		name: "code flow, session present", host: at, target: target{perSecond: 600},
		scripts: []script{{
			Authorize: get(at, strings.TrimPrefix(attempt.URL, p.Issuer), "Cookie: "+strings.Join(cookies, "; "), "Accept: text/html"),
			Post:      head(http.MethodPost, at, "/token", basic(p.web), form), Form: []byte(body.Encode() + "&code="),
		}},
	}
}

// lists makes a list to read and one with an item per connection to check off.
func (p *shop) lists(ctx context.Context, token, at string) (list, check row, err error) {
	bearer := "Authorization: Bearer " + token
	path, _, err := p.fill(ctx, token, "The long list", listSize)
	if err != nil {
		return row{}, row{}, err
	}
	list = fixed("GET a list of 50 items", at, pathList, target{ratio: 0.6}, request{
		method: http.MethodGet, target: path + "/items?limit=50", headers: []string{bearer},
	})
	path, items, err := p.fill(ctx, token, "The busy list", p.connections)
	if err != nil {
		return row{}, row{}, err
	}
	check = row{name: "check off an item", host: at, target: target{ratio: 0.6}, limits: []bound{{path: pathInsert}}}
	for _, item := range items {
		on := request{http.MethodPost, path + "/items/" + item + "/check", "", []string{bearer}}
		off := on
		off.method = http.MethodDelete
		check.scripts = append(check.scripts, script{Requests: [][]byte{on.to(at, on.target), off.to(at, off.target)}})
	}
	insert := request{http.MethodPost, pathInsert, "", []string{bearer}}
	check.limits[0].scripts = []script{{Requests: [][]byte{insert.to(at, pathInsert)}}}
	rows := bound{name: "its three rows in one statement"}
	for n := range items {
		rows.scripts = append(rows.scripts, script{Requests: [][]byte{insert.to(at, fmt.Sprintf("%s%d", pathCheck, n+1))}})
	}
	check.limits = append(check.limits, rows)
	return list, check, nil
}

// fill makes a list with items and returns its path and their ids.
func (p *shop) fill(ctx context.Context, token, name string, count int) (path string, items []string, err error) {
	family := "/v1/families/" + p.Demo.FamilyID + "/lists"
	id, err := p.create(ctx, token, family, fmt.Sprintf(`{"name":%q,"kind":"shared"}`, name))
	if err != nil {
		return "", nil, err
	}
	path = family + "/" + id
	for n := range count {
		item, err := p.create(ctx, token, path+"/items", fmt.Sprintf(`{"name":"Item %d","quantity":2,"unit":"pieces"}`, n))
		if err != nil {
			return "", nil, err
		}
		items = append(items, item)
	}
	return path, items, nil
}

func (p *shop) create(ctx context.Context, token, path, body string) (string, error) {
	resp, err := p.Call(ctx, token, http.MethodPost, path, body)
	if err != nil {
		return "", err
	}
	if resp.Status != http.StatusCreated {
		return "", fmt.Errorf("POST %s: %s", path, resp)
	}
	return resp.Find(".id")
}

func basic(c *stack.Client) string {
	pair := url.QueryEscape(c.ID) + ":" + url.QueryEscape(c.Secret)
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

func host(base string) string { return strings.TrimPrefix(base, "http://") }
