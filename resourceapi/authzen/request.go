package authzen

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/internal/web"
	"larder/resourceapi/policy"
)

const (
	maxQuestions = 100
	maxID        = 255 // characters
)

// extra is an object of which nothing is heeded.
type extra map[string]json.RawMessage

// subject is who is asked about (AuthZEN 1.0 §5.1).
type subject struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Properties extra  `json:"properties"`
}

// action is what he would do (§5.3); its name is one of policy.Actions.
type action struct {
	Name       policy.Action `json:"name"`
	Properties extra         `json:"properties"`
}

// resource is what he would do it to (§5.2). A family stands for itself; all
// else names its family, and an item its list.
type resource struct {
	Type       string     `json:"type"`
	ID         string     `json:"id"`
	Properties properties `json:"properties"`
}

type properties struct {
	FamilyID id.ID        `json:"family_id"`
	ListID   id.ID        `json:"list_id"`
	Kind     *string      `json:"kind"` // of a list that is to be made
	Role     *policy.Role `json:"role"` // that a member is to get, or an invitation to give
}

// tuple is one question, or what the questions of a request have in common.
type tuple struct {
	Subject  *subject  `json:"subject"`
	Action   *action   `json:"action"`
	Resource *resource `json:"resource"`
	Context  extra     `json:"context"`
}

// who names somebody.
type who struct{ kind, id string }

// question is a tuple that was understood.
type question struct {
	who      who
	action   policy.Action
	kind     policy.ResourceType // "" for a type that is not known here
	resource resource
	family   id.ID
	list     id.ID // of a list or item
}

// decode reads a request, which may have members that a later version of the
// standard gives a meaning. The standard answers any body that is not its own with 400.
func decode(r *http.Request, v any) error {
	err := web.DecodeOpenJSON(r, v)
	if e, ok := web.Shown(err); ok && e.Kind == fault.UnsupportedMedia {
		return fault.New(fault.Invalid, e.Message)
	}
	return err
}

// types are the resource types by their names on the wire.
func types() map[string]policy.ResourceType {
	return map[string]policy.ResourceType{
		"family": policy.FamilyResource, "member": policy.MemberResource, "invitation": policy.InvitationResource,
		"list": policy.ListResource, "item": policy.ItemResource, "app": policy.AppResource, "audit": policy.AuditResource,
	}
}

// over fills in from the defaults what t leaves out, also of what an entity
// must have (§7.1.1).
func (t tuple) over(defaults tuple) tuple {
	if d := defaults.Subject; t.Subject == nil {
		t.Subject = d
	} else if d != nil {
		t.Subject.Type, t.Subject.ID = cmp.Or(t.Subject.Type, d.Type), cmp.Or(t.Subject.ID, d.ID)
	}
	if d := defaults.Action; t.Action == nil {
		t.Action = d
	} else if d != nil {
		t.Action.Name = cmp.Or(t.Action.Name, d.Name)
	}
	if d := defaults.Resource; t.Resource == nil {
		t.Resource = d
	} else if d != nil {
		t.Resource.Type, t.Resource.ID = cmp.Or(t.Resource.Type, d.Type), cmp.Or(t.Resource.ID, d.ID)
	}
	return t
}

// part is what a request may leave open of a tuple.
type part int

const (
	nothing part = iota
	subjectID
	actionName
	resourceID
)

// read checks t, of which open is what is searched for.
func (t tuple) read(open part) (question, error) {
	var f valid.Form
	var q question
	t.readSubject(&f, &q, open == subjectID)
	if t.Action != nil {
		q.action = t.Action.Name
	}
	if q.action == "" && open != actionName {
		f.Fault("/action", "must have a name")
	}
	t.readResource(&f, &q, open == resourceID)
	return q, f.Err()
}

func (t tuple) readSubject(f *valid.Form, q *question, open bool) {
	if t.Subject == nil || t.Subject.Type == "" {
		f.Fault("/subject", "must have a type: user, app or api_key")
		return
	}
	q.who.kind = t.Subject.Type
	if !open {
		q.who.id = t.Subject.ID
		f.Text("/subject/id", q.who.id, 1, maxID)
	}
}

func (t tuple) readResource(f *valid.Form, q *question, open bool) {
	if t.Resource == nil || t.Resource.Type == "" {
		f.Fault("/resource", "must have a type: family, member, invitation, list, item, app or audit")
		return
	}
	q.resource, q.kind = *t.Resource, types()[t.Resource.Type]
	p := q.resource.Properties
	q.family, q.list = p.FamilyID, p.ListID
	if p.Kind != nil {
		f.OneOf("/resource/properties/kind", *p.Kind, policy.Shared, policy.Personal)
	}
	if p.Role != nil {
		f.OneOf("/resource/properties/role", string(*p.Role), string(policy.Admin), string(policy.Member), string(policy.Guest))
	}
	if open {
		return
	}
	f.Text("/resource/id", q.resource.ID, 1, maxID)
	switch named, _ := id.Parse(q.resource.ID); q.kind {
	case policy.FamilyResource:
		q.family = named
		return // one that is no UUID is none that there is
	case policy.ListResource:
		q.list = named
	case policy.ItemResource:
		if q.list.IsZero() {
			f.Fault("/resource/properties/list_id", "is required of an item")
		}
	case policy.MemberResource, policy.InvitationResource, policy.AppResource, policy.AuditResource:
	}
	if q.family.IsZero() && q.kind != "" {
		f.Fault("/resource/properties/family_id", "is required")
	}
}

// fits reports whether the action is one on that type of resource.
func (q question) fits() bool {
	kind, ok := policy.ResourceOf(q.action)
	return ok && kind == q.kind
}

// batch is the body of §7.1.
type batch struct {
	tuple
	Evaluations []json.RawMessage `json:"evaluations"`
	Options     struct {
		Semantic *string `json:"evaluations_semantic"`
	} `json:"options"`
}

// The ways to go through a batch (§7.1.2).
const (
	executeAll         = "execute_all"
	denyOnFirstDeny    = "deny_on_first_deny"
	permitOnFirstAllow = "permit_on_first_permit"
)

// read returns the questions. What is wrong with one of them is its own
// affair: faults has the error in its place.
func (b *batch) read() (questions []question, faults []error, err error) {
	var f valid.Form
	if len(b.Evaluations) > maxQuestions {
		f.Fault("/evaluations", fmt.Sprintf("must be at most %d", maxQuestions))
	}
	if b.Options.Semantic != nil {
		f.OneOf("/options/evaluations_semantic", *b.Options.Semantic, executeAll, denyOnFirstDeny, permitOnFirstAllow)
	}
	if err := f.Err(); err != nil {
		return nil, nil, err
	}
	questions, faults = make([]question, len(b.Evaluations)), make([]error, len(b.Evaluations))
	for i, raw := range b.Evaluations {
		var t tuple
		if faults[i] = web.ReadOpenJSON(raw, &t); faults[i] == nil {
			questions[i], faults[i] = t.over(b.tuple).read(nothing)
		}
	}
	return questions, faults, nil
}

// words says what is wrong with a question, in one line.
func words(err error) string {
	e, ok := web.Shown(err)
	if !ok {
		return "The question could not be read."
	}
	all := []string{e.Message}
	for _, field := range e.Fields {
		all = append(all, field.Pointer+" "+field.Detail)
	}
	return strings.Join(all, " ")
}
