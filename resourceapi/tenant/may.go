package tenant

import (
	"context"
	"log/slog"
	"maps"

	"larder/internal/audit"
	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/web"
	"larder/resourceapi/bearer"
	"larder/resourceapi/policy"
)

// notHere is the answer to whoever has no standing in a family, and for a
// family that does not exist.
const notHere = "There is no such family here."

// May asks the policy whether the caller may do this, after Send has read who
// he is and what he acts on. A denial goes to the audit log and comes back as
// the error to answer with:
//
//	scope missing in the token   403 insufficient_scope (RFC 6750 §3.1)
//	a fresh sign-in would help   401 insufficient_user_authentication (RFC 9470)
//	he may not even read it      404
//	he may read it, not do this  403 with the policy's id, its reason and what would help
func (tx *Tx) May(ctx context.Context, action policy.Action, resource policy.Resource) error {
	if !tx.sent {
		return fault.New(fault.Internal, "the policy was asked before the caller's standing was read")
	}
	d := tx.decide(ctx, action, resource)
	if d.Allowed {
		tx.asked = true
		tx.policies = append(tx.policies, d.Policies...)
		tx.noteSeen(action, resource, d.Policies)
		return nil
	}
	tx.refused = true
	tx.deny(ctx, string(action), resource.ID, d)
	return tx.refusal(ctx, resource, d)
}

// SendFor is Send, and then May about the family itself.
func (tx *Tx) SendFor(ctx context.Context, action policy.Action) error {
	if err := tx.Send(ctx); err != nil {
		return err
	}
	return tx.May(ctx, action, tx.FamilyResource())
}

// Can reports what May would say, without leave and without a trace.
func (tx *Tx) Can(ctx context.Context, action policy.Action, resource policy.Resource) bool {
	return tx.decide(ctx, action, resource).Allowed
}

// Judge is the decision itself, for whoever asks what he might do: it leaves no
// trace, and a read may answer with it alone.
func (tx *Tx) Judge(ctx context.Context, action policy.Action, resource policy.Resource) policy.Decision {
	tx.asked = true
	return tx.decide(ctx, action, resource)
}

// Permitted lists which of the actions May would not refuse for good, so that a
// front end need not repeat the policy: those that take a fresh or stronger
// sign-in first are among them, for the caller is told so when he tries. The
// list is not the caller's to change.
func (tx *Tx) Permitted(ctx context.Context, resource policy.Resource, actions ...policy.Action) []string {
	r := tx.request(actions[0], resource)
	asked := make([]policy.Asked, len(actions))
	for i, a := range actions {
		asked[i] = policy.Asked{Action: a, Rules: tx.house.bearing(r.Principal, a, r.Context)}
	}
	return tx.db.Authorizer.Permitted(ctx, r, asked)
}

// FamilyResource is the family itself.
func (tx *Tx) FamilyResource() policy.Resource { return tx.Resource(policy.FamilyResource, tx.Family) }

// Resource is a thing of the family.
func (tx *Tx) Resource(kind policy.ResourceType, thing id.ID) policy.Resource {
	return policy.Resource{Type: kind, ID: thing, Family: tx.Family}
}

func (tx *Tx) decide(ctx context.Context, action policy.Action, resource policy.Resource) policy.Decision {
	return tx.db.Authorizer.Authorize(ctx, tx.request(action, resource))
}

func (tx *Tx) request(action policy.Action, resource policy.Resource) policy.Request {
	p := policy.Principal{Kind: kindOf(tx.Caller), ID: nameOf(tx.Caller), Family: tx.home(), Role: tx.role, Scopes: tx.scopes}
	return policy.Request{Principal: p, Action: action, Resource: resource, Context: tx.circumstances(p, action, resource)}
}

// home is the family in which the caller has the standing that he claims. A
// machine that was turned away has none here, and no policy must take it for
// one of this family.
func (tx *Tx) home() id.ID {
	if tx.standing != nobody || kindOf(tx.Caller) == policy.User {
		return tx.Family
	}
	if !tx.Caller.Family.IsZero() {
		return tx.Caller.Family
	}
	return id.ID{0: 0xff, 15: 0xff}
}

// turnAway refuses a caller without standing, if the policy agrees.
func (tx *Tx) turnAway(ctx context.Context) error {
	d := tx.decide(ctx, policy.FamilyRead, tx.FamilyResource())
	if d.Allowed {
		return nil
	}
	tx.deny(ctx, "family.enter", tx.Family, d)
	return fault.New(fault.NotFound, notHere)
}

func (tx *Tx) refusal(ctx context.Context, resource policy.Resource, d policy.Decision) error {
	told := fault.Refusal{Policy: d.Policies[0], Reason: d.Reason, Remedy: d.Remedy}
	switch {
	case d.MissingScope != "":
		return bearer.InsufficientScope(d.MissingScope).WithRefusal(told)
	case d.StepUp != nil:
		return bearer.StepUp(d.StepUp.ACRValues, d.StepUp.MaxAge).WithRefusal(told)
	case !tx.readable(ctx, resource):
		return fault.New(fault.NotFound, "There is no such thing here.")
	}
	return fault.New(fault.Forbidden, d.Reason+" "+d.Remedy).WithCode(d.Policies[0]).WithRefusal(told)
}

// readable reports whether the caller may know of the resource: of a list and
// what is on it if he may read the list, of the rest if he is in the family.
func (tx *Tx) readable(ctx context.Context, resource policy.Resource) bool {
	if resource.Type != policy.ListResource && resource.Type != policy.ItemResource {
		return tx.standing != nobody
	}
	if resource.ID.IsZero() {
		return true // it is about to be made
	}
	resource.Type = policy.ListResource
	return tx.knows(ctx, policy.ListRead, resource)
}

func (tx *Tx) needScope(scope string) error {
	if tx.Caller.Has(scope) {
		return nil
	}
	return bearer.InsufficientScope(scope)
}

func (tx *Tx) deny(ctx context.Context, action string, target id.ID, d policy.Decision) {
	web.Annotate(ctx, slog.String("denied", action), slog.Any("policies", d.Policies))
	e := tx.event(ctx, action, audit.Denied, nil)
	e.Reason, e.Policies = d.Reason, d.Policies
	if !target.IsZero() {
		e.Target = target.String()
	}
	tx.db.Denials.Put(e)
}

func (tx *Tx) event(ctx context.Context, action string, result audit.Result, details map[string]any) audit.Event {
	if tx.IsUser() && tx.Caller.APIKeyID != "" { // the actor is the person: say which of their keys it was
		details = maps.Clone(details)
		if details == nil {
			details = make(map[string]any)
		}
		details["api_key_id"] = tx.Caller.APIKeyID
	}
	return audit.Event{
		OccurredAt: tx.db.Now(),
		Action:     action,
		Result:     result,
		Actor:      audit.Actor{Kind: string(kindOf(tx.Caller)), ID: nameOf(tx.Caller)},
		ClientID:   tx.Caller.ClientID,
		FamilyID:   tx.Family,
		SourceIP:   tx.source.IP.String(),
		UserAgent:  tx.source.UserAgent,
		RequestID:  web.RequestID(ctx),
		Details:    details,
	}
}

// Refused records a refusal that is a feature's own rule, not the policy's.
func (tx *Tx) Refused(ctx context.Context, action string, target id.ID, reason string) {
	tx.deny(ctx, action, target, policy.Decision{Reason: reason})
}
