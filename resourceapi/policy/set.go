package policy

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"
	publicast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

//go:embed schema.cedarschema guards.cedar rules.cedar family.cedar
var embedded embed.FS

const (
	schemaFile = "schema.cedarschema"
	guardsFile = "guards.cedar"
	rulesFile  = "rules.cedar"
	familyFile = "family.cedar"
)

// Document is one .cedar file.
type Document struct {
	Name string
	Text []byte
}

// Set is a set of policies that parsed, fits the schema and is ready to decide.
type Set struct {
	policies   list // as they were written
	candidates map[Action]candidates
	stepUps    map[cedar.PolicyID]StepUp
	reasons    map[cedar.PolicyID]string
	remedies   map[cedar.PolicyID]string
	actions    map[cedar.EntityUID]cedar.Entity
}

// candidates are the policies whose scope can match one action. Cedar looks at
// every policy that it is given, so it is given only these.
type candidates struct {
	all       list
	unstepped list // without the forbids that a step-up would lift
}

type entry struct {
	id     cedar.PolicyID
	policy *cedar.Policy
}

// list is a cedar.PolicyIterator that keeps the order of the files.
type list []entry

// All implements cedar.PolicyIterator.
func (l list) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, e := range l {
			if !yield(e.id, e.policy) {
				return
			}
		}
	}
}

// Embedded returns the family.cedar that is built in.
func Embedded() (Document, error) { return embeddedDocument(familyFile) }

func embeddedDocument(name string) (Document, error) {
	text, err := embedded.ReadFile(name)
	return Document{Name: name, Text: text}, err
}

// Compile makes a set of the guards, the ready-made rules and the documents. Every policy needs an
// @id that no other has and a @reason; every policy must fit the schema. All
// faults are reported together.
func Compile(documents ...Document) (*Set, error) {
	guards, err := embeddedDocument(guardsFile)
	if err != nil {
		return nil, err
	}
	rules, err := embeddedDocument(rulesFile)
	if err != nil {
		return nil, err
	}
	sch, err := loadSchema()
	if err != nil {
		return nil, err
	}
	s := &Set{
		candidates: make(map[Action]candidates),
		stepUps:    make(map[cedar.PolicyID]StepUp),
		reasons:    make(map[cedar.PolicyID]string),
		remedies:   make(map[cedar.PolicyID]string),
		actions:    make(map[cedar.EntityUID]cedar.Entity, len(sch.Actions)),
	}
	for uid, a := range sch.Actions {
		s.actions[uid] = a.Entity
	}
	var (
		faults   []error
		policies list
		checker  = validate.New(sch)
	)
	for _, doc := range append([]Document{guards, rules}, documents...) {
		parsed, err := cedar.NewPolicyListFromBytes(doc.Name, doc.Text)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", doc.Name, err))
			continue
		}
		for _, p := range parsed {
			pid, err := s.admit(checker, p)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s:%d: %w", doc.Name, p.Position().Line, err))
				continue
			}
			policies = append(policies, entry{pid, p})
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	s.policies = policies
	indexed := unscoped(policies)
	for _, a := range Actions() {
		s.candidates[a] = s.pick(indexed, actionUID(a))
	}
	return s, nil
}

// admit checks one policy and takes note of its annotations.
func (s *Set) admit(checker *validate.Validator, p *cedar.Policy) (cedar.PolicyID, error) {
	notes := p.Annotations()
	pid, reason := cedar.PolicyID(notes["id"]), string(notes["reason"])
	if pid == "" || reason == "" {
		return "", errors.New("a policy needs @id and @reason")
	}
	if _, taken := s.reasons[pid]; taken {
		return "", fmt.Errorf("the @id %q is used twice", pid)
	}
	s.reasons[pid] = reason
	if remedy, ok := notes["remedy"]; ok {
		s.remedies[pid] = string(remedy)
	}
	if text, ok := notes["step_up"]; ok {
		if p.Effect() != cedar.Forbid {
			return "", fmt.Errorf("%s: @step_up belongs on a forbid", pid)
		}
		su, err := parseStepUp(string(text))
		if err != nil {
			return "", fmt.Errorf("%s: %w", pid, err)
		}
		s.stepUps[pid] = su
	}
	switch scope := (*ast.Policy)(p.AST()).Action.(type) {
	case ast.ScopeTypeAll, ast.ScopeTypeEq, ast.ScopeTypeIn, ast.ScopeTypeInSet:
	default:
		return "", fmt.Errorf("%s: the action's scope is a %T, which is not known here", pid, scope)
	}
	if text := p.MarshalCedar(); bytes.Contains(text, []byte(`List::"`)) || bytes.Contains(text, []byte(`Item::"`)) {
		// What one list answers would else not be what another like it does, and
		// pages of lists are told apart by kind, owner and grants alone.
		return "", fmt.Errorf("%s: a policy is about kinds of lists and items, never about a single one", pid)
	}
	return pid, checker.Policy(string(pid), (*ast.Policy)(p.AST()))
}

// indexed is a policy beside what is evaluated of it.
type indexed struct {
	written, evaluated entry
}

// unscoped returns each policy with a copy that asks for no action any more:
// pick gives it to its actions alone, and asking took Cedar a third of the time.
func unscoped(policies list) []indexed {
	all := make([]indexed, len(policies))
	for i, e := range policies {
		open := *(*ast.Policy)(e.policy.AST())
		open.Action = ast.ScopeTypeAll{}
		all[i] = indexed{e, entry{e.id, cedar.NewPolicyFromAST((*publicast.Policy)(&open))}}
	}
	return all
}

func (s *Set) pick(policies []indexed, action cedar.EntityUID) candidates {
	var c candidates
	for _, e := range policies {
		if !s.concerns(e.written.policy, action) {
			continue
		}
		c.all = append(c.all, e.evaluated)
		if _, ok := s.stepUps[e.written.id]; !ok {
			c.unstepped = append(c.unstepped, e.evaluated)
		}
	}
	return c
}

// concerns reports whether the action scope of p can match action.
func (s *Set) concerns(p *cedar.Policy, action cedar.EntityUID) bool {
	switch scope := (*ast.Policy)(p.AST()).Action.(type) {
	case ast.ScopeTypeEq:
		return scope.Entity == action
	case ast.ScopeTypeIn:
		return s.within(action, scope.Entity)
	case ast.ScopeTypeInSet:
		return slices.ContainsFunc(scope.Entities, func(group cedar.EntityUID) bool { return s.within(action, group) })
	default:
		return true // all actions: admit refuses other kinds of scope
	}
}

// within reports whether action is group or below it. The schema was resolved,
// so there are no cycles.
func (s *Set) within(action, group cedar.EntityUID) bool {
	if action == group {
		return true
	}
	for parent := range s.actions[action].Parents.All() {
		if s.within(parent, group) {
			return true
		}
	}
	return false
}

// loadSchema reads the schema and holds it against the table of actions.
func loadSchema() (*resolved.Schema, error) {
	text, err := embedded.ReadFile(schemaFile)
	if err != nil {
		return nil, err
	}
	var parsed schema.Schema
	parsed.SetFilename(schemaFile)
	if err := parsed.UnmarshalCedar(text); err != nil {
		return nil, err
	}
	sch, err := parsed.Resolve()
	if err != nil {
		return nil, err
	}
	for _, a := range Actions() {
		r, _ := ruleOf(a)
		declared, ok := sch.Actions[actionUID(a)]
		if !ok || declared.AppliesTo == nil || !slices.Contains(declared.AppliesTo.Resources, cedar.EntityType(r.resource)) {
			return nil, fmt.Errorf("%s: %s does not apply to %s", schemaFile, a, r.resource)
		}
	}
	return sch, nil
}

// parseStepUp reads the words of a @step_up annotation: max_age=SECONDS and
// any number of acr=VALUE.
func parseStepUp(text string) (StepUp, error) {
	var su StepUp
	for word := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "max_age":
			seconds, err := strconv.ParseUint(value, 10, 31)
			if err != nil || seconds == 0 {
				return su, fmt.Errorf("@step_up: max_age is %q, not a number of seconds", value)
			}
			su.MaxAge = time.Duration(seconds) * time.Second
		case "acr":
			su.ACRValues = append(su.ACRValues, value)
		default:
			return su, fmt.Errorf("@step_up: unknown word %q", word)
		}
	}
	if su.MaxAge == 0 && len(su.ACRValues) == 0 {
		return su, errors.New("@step_up names neither max_age nor acr")
	}
	return su, nil
}
