package policytool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"go.yaml.in/yaml/v3"

	"larder/internal/id"
	"larder/resourceapi/policy"
)

// testCase is one question and what is expected of the answer.
type testCase struct {
	Name   string        `yaml:"case"`
	Who    who           `yaml:"who"`
	Does   policy.Action `yaml:"does"`
	To     what          `yaml:"to"`
	When   when          `yaml:"when"`
	Expect string        `yaml:"expect"` // allow or deny
	By     string        `yaml:"by"`     // the policy that must be among those that decide; "" for any
}

// who asks: by default a person who is no member, whose token has every scope.
type who struct {
	Kind   policy.Kind `yaml:"kind"`
	ID     string      `yaml:"id"`
	Role   policy.Role `yaml:"role"`
	Scopes []string    `yaml:"scopes"`
}

// what he would act on: by default a shared list of somebody else.
type what struct {
	Kind         string        `yaml:"kind"`
	Owner        string        `yaml:"owner"`
	Grants       []policy.Verb `yaml:"grants"`
	TargetRole   policy.Role   `yaml:"target_role"`
	OtherFamily  bool          `yaml:"other_family"`
	LimitedTo    []policy.Verb `yaml:"limited_to"` // a token that was narrowed down (RFC 9396), and what it may do here
	LimitedToken bool          `yaml:"limited_token"`
}

// when and how: by default now, from nowhere known, signed in a minute ago.
type when struct {
	Time     string         `yaml:"time"` // 2026-11-22 21:30, in Zone
	Zone     string         `yaml:"zone"`
	From     string         `yaml:"from"` // an address
	Device   string         `yaml:"device"`
	SignedIn string         `yaml:"signed_in"` // how long ago: 5m
	ACR      string         `yaml:"acr"`
	Risk     string         `yaml:"risk"`
	Rules    map[string]any `yaml:"rules"` // as PUT …/rules takes them
}

// readCases reads a file of cases; a member that is not known is an error.
func readCases(name string) ([]testCase, error) {
	text, err := os.ReadFile(name) //nolint:gosec // the operator names his own files
	if err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var cases []testCase
	if err := dec.Decode(&cases); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s holds no cases", name)
	}
	return cases, nil
}

// request is the case as the engine is asked.
func (c testCase) request(now time.Time) (policy.Request, error) {
	kind, ok := policy.ResourceOf(c.Does)
	if !ok {
		return policy.Request{}, fmt.Errorf("%q is no action; there are %v", c.Does, policy.Actions())
	}
	p := policy.Principal{Kind: or(c.Who.Kind, policy.User), ID: or(c.Who.ID, "somebody"), Family: id.ID{1}, Role: c.Who.Role, Scopes: c.Who.Scopes}
	if p.Scopes == nil {
		p.Scopes = policy.Scopes()
	}
	about := policy.Resource{Type: kind, ID: id.ID{9}, Family: p.Family, TargetRole: c.To.TargetRole}
	if c.To.OtherFamily {
		about.Family = id.ID{2}
	}
	switch kind { //nolint:exhaustive // the others have nothing more
	case policy.ListResource, policy.ItemResource:
		about.Kind, about.Owner, about.Grants = or(c.To.Kind, policy.Shared), or(c.To.Owner, "somebody else"), c.To.Grants
	case policy.MemberResource:
		about.Owner = or(c.To.Owner, "somebody else")
	}
	circumstances, err := c.When.circumstances(now, p, c.Does)
	circumstances.Limited, circumstances.Allowed = c.To.LimitedToken || c.To.LimitedTo != nil, c.To.LimitedTo
	return policy.Request{Principal: p, Action: c.Does, Resource: about, Context: circumstances}, err
}

func (w when) circumstances(now time.Time, p policy.Principal, action policy.Action) (policy.Context, error) {
	c := policy.UnknownContext(now)
	var faults []error
	note := func(err error) { faults = append(faults, err) }
	if w.Zone != "" {
		zone, err := time.LoadLocation(w.Zone)
		note(err)
		if err == nil {
			c.Zone = zone
		}
	}
	if w.Time != "" {
		at, err := time.ParseInLocation("2006-01-02 15:04", w.Time, c.Zone)
		note(err)
		c.Now = at
	}
	if w.From != "" {
		ip, err := netip.ParseAddr(w.From)
		note(err)
		if err == nil {
			c.SourceIP = ip
		}
	}
	ago, err := time.ParseDuration(or(w.SignedIn, "1m"))
	note(err)
	if p.Kind == policy.User {
		c.AuthTime = c.Now.Add(-ago)
	}
	c.Device, c.ACR, c.RiskScore = or(w.Device, policy.Unknown), or(w.ACR, policy.Unknown), policy.RiskOf(w.Risk)
	var rules *policy.Rules
	if w.Rules != nil {
		rules, err = readRules(w.Rules)
		note(err)
	}
	c.Place, c.Rules = rules.Place(c.SourceIP), rules.For(p, action, c.Now.In(c.Zone))
	return c, errors.Join(faults...)
}

func readRules(from map[string]any) (*policy.Rules, error) {
	text, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var rules policy.Rules
	if err := dec.Decode(&rules); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return &rules, nil
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
