package policy

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cedar-policy/cedar-go"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Engine is the Authorizer over Cedar. It is safe for concurrent use.
type Engine struct {
	set       atomic.Pointer[Set]
	translate translator
	dir       string
	digest    [32]byte // of the directory's files when they were last looked at; Run's own
	log       *slog.Logger

	permitted *lru.Cache[permitKey, []string]
	decisions *prometheus.CounterVec
	reloads   *prometheus.CounterVec
}

var _ Authorizer = (*Engine)(nil)

// New returns an engine that decides by the built-in policies or, if dir is
// not "", by the .cedar files there in place of family.cedar. An invalid set
// is an error: there is no old one to keep. Run follows the directory.
func New(log *slog.Logger, reg prometheus.Registerer, dir string) (*Engine, error) {
	e := &Engine{
		translate: newTranslator(),
		dir:       dir,
		log:       log,
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "policy_decisions_total",
			Help: "Decisions by action and outcome.",
		}, []string{"action", "outcome"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "policy_reloads_total",
			Help: "Changed policy directories by outcome; a refused one leaves the old policies in force.",
		}, []string{"outcome"}),
	}
	documents, digest, err := e.read()
	if err != nil {
		return nil, err
	}
	set, err := Compile(documents...)
	if err != nil {
		return nil, err
	}
	if e.permitted, err = lru.New[permitKey, []string](maxPermitted); err != nil {
		return nil, err
	}
	e.digest = digest
	e.set.Store(set)
	e.reloads.WithLabelValues("refused") // what is missing alarms nobody
	reg.MustRegister(e.decisions, e.reloads)
	return e, nil
}

// Authorize implements Authorizer. It never fails: what cannot be decided is
// denied.
func (e *Engine) Authorize(ctx context.Context, r Request) Decision {
	if err := r.check(); err != nil {
		e.log.LogAttrs(ctx, slog.LevelError, "malformed policy request",
			slog.String("action", string(r.Action)), slog.String("error", err.Error()))
		e.decisions.WithLabelValues("malformed", "deny").Inc()
		return Decision{Policies: []string{MalformedRequest}, Reason: "This could not be decided.", Remedy: ours}
	}
	set := e.set.Load()
	d := e.decide(ctx, set, r, "", set.candidates[r.Action].all)
	if !d.Allowed && d.Policies[0] != EvaluationError {
		d = e.relax(ctx, set, r, d)
	}
	outcome := "allow"
	if !d.Allowed {
		outcome, d.Remedy = "deny", set.remedy(r.Principal, d)
	}
	e.decisions.WithLabelValues(string(r.Action), outcome).Inc()
	return d
}

// decide asks Cedar. An error in any policy is a deny: a forbid that cannot be
// evaluated is one that did not get to speak.
func (e *Engine) decide(ctx context.Context, set *Set, r Request, extraScope string, policies list) Decision {
	q := e.translate.question(r, set.actions, extraScope)
	verdict, diag := cedar.Authorize(policies, q, q.request)
	if len(diag.Errors) > 0 {
		d := Decision{Policies: []string{EvaluationError}, Reason: "This could not be decided."}
		for _, failed := range diag.Errors {
			d.Policies = append(d.Policies, string(failed.PolicyID))
			e.log.LogAttrs(ctx, slog.LevelError, "policy not evaluated",
				slog.String("policy", string(failed.PolicyID)), slog.String("error", failed.Message))
		}
		return d
	}
	if len(diag.Reasons) == 0 {
		return Decision{Policies: []string{DefaultDeny}, Reason: unpermitted(r.Principal)}
	}
	d := Decision{
		Allowed:  verdict == cedar.Allow,
		Policies: make([]string, len(diag.Reasons)),
		Reason:   set.reasons[diag.Reasons[0].PolicyID],
	}
	for i, reason := range diag.Reasons {
		d.Policies[i] = string(reason.PolicyID)
	}
	return d
}

// relax finds out what would turn the denial d into a yes: the scope that the
// token lacks, a fresh or stronger sign-in, or both. If neither would, the
// caller is told what remains in the way, and is not sent to fetch in vain.
func (e *Engine) relax(ctx context.Context, set *Set, r Request, d Decision) Decision {
	var missing string
	if rule, _ := ruleOf(r.Action); !slices.Contains(r.Principal.Scopes, rule.scope) {
		missing = rule.scope
	}
	stepUp := set.stepUp(d.Policies)
	if missing == "" && stepUp == nil {
		return d
	}
	relaxed := e.decide(ctx, set, r, missing, set.candidates[r.Action].unstepped)
	if !relaxed.Allowed {
		return relaxed
	}
	d.MissingScope, d.StepUp = missing, stepUp
	return d
}

// stepUp joins what the step-up policies among the ids ask for; nil if none is.
func (s *Set) stepUp(policies []string) *StepUp {
	var joined *StepUp
	for _, pid := range policies {
		su, ok := s.stepUps[cedar.PolicyID(pid)]
		if !ok {
			continue
		}
		if joined == nil {
			joined = &StepUp{}
		}
		for _, acr := range su.ACRValues {
			if !slices.Contains(joined.ACRValues, acr) {
				joined.ACRValues = append(joined.ACRValues, acr)
			}
		}
		if joined.MaxAge == 0 || su.MaxAge > 0 && su.MaxAge < joined.MaxAge {
			joined.MaxAge = su.MaxAge
		}
	}
	return joined
}

// ours is the remedy for what is a defect of the service or of its policies.
const ours = "Tell the operator of the service."

// remedy says in words what would turn the denial into a yes.
func (s *Set) remedy(p Principal, d Decision) string {
	switch {
	case d.Policies[0] == EvaluationError:
		return ours
	case d.MissingScope != "" && d.StepUp != nil:
		return "Ask the identity provider for a token with the scope " + d.MissingScope + ", after signing in again" + d.StepUp.how() + "."
	case d.MissingScope != "":
		return "Ask the identity provider for a token with the scope " + d.MissingScope + "."
	case d.StepUp != nil:
		return "Sign in again" + d.StepUp.how() + "."
	}
	if remedy, ok := s.remedies[cedar.PolicyID(d.Policies[0])]; ok {
		return remedy
	}
	switch {
	case p.Kind != User:
		return "An admin of the family can do it himself."
	case p.Role == None:
		return "Ask an admin of the family for an invitation."
	default:
		return "An admin of the family can do it, or allow you more."
	}
}

func (su *StepUp) how() string {
	if len(su.ACRValues) > 0 {
		return ", with a second factor"
	}
	return ""
}

func unpermitted(p Principal) string {
	switch {
	case p.Kind != User:
		return "An app or key cannot do this."
	case p.Role == None:
		return "This is for members of the family."
	default:
		return "Your role in the family does not allow this."
	}
}

// Meaning is what a policy that is in force says of itself, "" for an id that no
// policy has.
func (e *Engine) Meaning(policy string) string {
	set, pid := e.set.Load(), cedar.PolicyID(policy)
	return strings.TrimSpace(set.reasons[pid] + " " + set.remedies[pid])
}
