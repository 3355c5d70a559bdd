package authzen

import (
	"encoding/json"
	"fmt"

	"larder/internal/id"
	"larder/internal/valid"
	"larder/resourceapi/policy"
)

const maxQuestions = 100

// subject is who is asked about (AuthZEN 1.0 §5.1).
type subject struct {
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	Properties json.RawMessage `json:"properties"`
}

// action is what he would do (§5.3); its name is one of policy.Actions.
type action struct {
	Name       policy.Action   `json:"name"`
	Properties json.RawMessage `json:"properties"`
}

// resource is what he would do it to (§5.2). A family stands for itself; all
// else names its family, and an item its list.
type resource struct {
	Type       string     `json:"type"`
	ID         string     `json:"id"`
	Properties properties `json:"properties"`
}

type properties struct {
	FamilyID id.ID       `json:"family_id"`
	ListID   id.ID       `json:"list_id"`
	Kind     string      `json:"kind"` // of a list that is to be made
	Role     policy.Role `json:"role"` // that a member is to get, or an invitation to give
}

// tuple is one question, or what the questions of a request have in common.
type tuple struct {
	Subject  *subject        `json:"subject"`
	Action   *action         `json:"action"`
	Resource *resource       `json:"resource"`
	Context  json.RawMessage `json:"context"`
}

// question is a tuple that was understood.
type question struct {
	action   policy.Action
	resource resource
	family   id.ID
	thing    id.ID // of a list or item: the list
}

// types are the resource types by their names on the wire.
func types() map[string]policy.ResourceType {
	return map[string]policy.ResourceType{
		"family": policy.FamilyResource, "member": policy.MemberResource, "invitation": policy.InvitationResource,
		"list": policy.ListResource, "item": policy.ItemResource, "app": policy.AppResource, "audit": policy.AuditResource,
	}
}

// readAction is read for a tuple that must name an action.
func (t tuple) readAction(f *valid.Form, at string) question {
	if t.Action == nil || t.Action.Name == "" {
		f.Fault(at+"/action", "must have a name")
	}
	return t.read(f, at)
}

// over fills in from the defaults what t leaves out (§7.1.1).
func (t tuple) over(defaults tuple) tuple {
	if t.Subject == nil {
		t.Subject = defaults.Subject
	}
	if t.Action == nil {
		t.Action = defaults.Action
	}
	if t.Resource == nil {
		t.Resource = defaults.Resource
	}
	return t
}

// read checks t; what action it names, if any, is not known yet to be one.
func (t tuple) read(f *valid.Form, at string) question {
	var q question
	if t.Subject == nil || t.Subject.Type == "" || t.Subject.ID == "" {
		f.Fault(at+"/subject", "must have a type and an id")
	}
	if t.Action != nil {
		q.action = t.Action.Name
	}
	if t.Resource == nil || t.Resource.ID == "" || types()[t.Resource.Type] == "" {
		f.Fault(at+"/resource", "must have an id and a type: family, member, invitation, list, item, app or audit")
		return q
	}
	q.resource, q.family = *t.Resource, t.Resource.Properties.FamilyID
	parse := func(to *id.ID) {
		var err error
		if *to, err = id.Parse(q.resource.ID); err != nil || to.IsZero() {
			f.Fault(at+"/resource/id", "must be a UUID")
		}
	}
	switch q.resource.Type {
	case "family":
		parse(&q.family)
	case "list":
		parse(&q.thing)
	case "item":
		if q.thing = q.resource.Properties.ListID; q.thing.IsZero() {
			f.Fault(at+"/resource/properties/list_id", "is required of an item")
		}
	}
	if q.family.IsZero() {
		f.Fault(at+"/resource/properties/family_id", "is required")
	}
	switch p := q.resource.Properties; {
	case p.Kind != "" && p.Kind != policy.Shared && p.Kind != policy.Personal:
		f.Fault(at+"/resource/properties/kind", "must be shared or personal")
	case p.Role != "" && p.Role != policy.Admin && p.Role != policy.Member && p.Role != policy.Guest:
		f.Fault(at+"/resource/properties/role", "must be admin, member or guest")
	}
	return q
}

// batch is the body of §7.1.
type batch struct {
	tuple
	Evaluations []tuple `json:"evaluations"`
	Options     struct {
		Semantic string `json:"evaluations_semantic"`
	} `json:"options"`
}

// The ways to go through a batch (§7.1.2).
const (
	executeAll         = "execute_all"
	denyOnFirstDeny    = "deny_on_first_deny"
	permitOnFirstAllow = "permit_on_first_permit"
)

func (b *batch) read() ([]question, error) {
	var f valid.Form
	if len(b.Evaluations) > maxQuestions {
		f.Fault("/evaluations", fmt.Sprintf("must be at most %d", maxQuestions))
		return nil, f.Err()
	}
	if b.Options.Semantic == "" {
		b.Options.Semantic = executeAll
	}
	f.OneOf("/options/evaluations_semantic", b.Options.Semantic, executeAll, denyOnFirstDeny, permitOnFirstAllow)
	questions := make([]question, len(b.Evaluations))
	for i, t := range b.Evaluations {
		b.Evaluations[i] = t.over(b.tuple)
		questions[i] = b.Evaluations[i].readAction(&f, fmt.Sprintf("/evaluations/%d", i))
	}
	return questions, f.Err()
}
