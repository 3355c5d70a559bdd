package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"larder/internal/id"
	"larder/resourceapi/policy"
)

const (
	decisionsName = "policy decision among 100 policies"
	moreGuards    = 100
	// decisionTarget is in ms.
	decisionTarget = 0.015
)

// decisions asks the policy engine, in this process, whether a member may check an item off: the family's own policies
// hold, and a hundred more that have to be looked at before they can be put aside.
func (b *bench) decisions(ctx context.Context) (err error) {
	if !b.rows.MatchString(decisionsName) {
		return nil
	}
	say(decisionsName)
	dir, err := os.MkdirTemp("", "larder-policies-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := writePolicies(dir); err != nil {
		return err
	}
	engine, err := policy.New(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), dir)
	if err != nil {
		return err
	}
	asked := policy.Request{
		Principal: policy.Principal{Kind: policy.User, ID: id.New().String(), Family: id.ID{1}, Role: policy.Member, Scopes: policy.Scopes()},
		Action:    policy.ItemCheck,
		Resource:  policy.Resource{Type: policy.ItemResource, ID: id.ID{9}, Family: id.ID{1}, Kind: policy.Shared, Owner: "ann"},
		Context:   policy.UnknownContext(b.now()),
	}
	took := tally{elapsed: b.measure, latencies: newHistogram()}
	for began, end := b.now(), b.now().Add(b.measure); began.Before(end); {
		if d := engine.Authorize(ctx, asked); !d.Allowed {
			return fmt.Errorf("the member may not check off: %+v", d)
		}
		ended := b.now()
		took.latencies.add(ended.Sub(began))
		began = ended
	}
	f := took.figure(decisionsName, 1)
	f.target = target{p50: decisionTarget}
	b.figures = append(b.figures, f)
	return nil
}

// writePolicies writes the built-in policies, and guards that speak of one action each, as an operator's own would.
func writePolicies(dir string) error {
	family, err := policy.Embedded()
	if err != nil {
		return err
	}
	var more strings.Builder
	actions := policy.Actions()
	for n := range moreGuards {
		fmt.Fprintf(&more, "@id(\"bench_%d\") @reason(\"r\") forbid (principal, action == Action::%q, resource) when { context.device == \"device-%d\" };\n",
			n, actions[n%len(actions)], n)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "10-family.cedar"), family.Text, 0o600),
		os.WriteFile(filepath.Join(dir, "20-more.cedar"), []byte(more.String()), 0o600))
}
