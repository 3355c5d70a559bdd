package tenant

import (
	"context"
	"slices"
	"strings"

	"larder/internal/audit"
	"larder/resourceapi/policy"
)

// seen is something that a read was let see.
type seen struct {
	action   policy.Action
	resource policy.Resource
	policies []string
}

// noteSeen keeps for the audit log that a read may answer with the resource.
func (tx *Tx) noteSeen(action policy.Action, resource policy.Resource, policies []string) {
	if tx.reads && tx.db.Reads != nil && tx.accountable(action) {
		tx.seen = append(tx.seen, seen{action, resource, policies})
	}
}

// accountable reports whether the log keeps that the caller reads this: what is
// sensitive whoever it is, and everything of those who are no part of the
// household. What people of the family look at is not the others' to watch
// (docs/decisions/0106).
func (tx *Tx) accountable(action policy.Action) bool {
	sensitive := slices.Contains([]policy.Action{policy.AuditRead, policy.WebhookList, policy.InvitationList}, action)
	himself := tx.IsUser() && tx.Caller.APIKeyID == "" && tx.Caller.Limit == nil && tx.role != policy.Guest
	return sensitive || !himself
}

// tellSeen hands to the log what the caller was shown, behind the request.
func (tx *Tx) tellSeen(ctx context.Context) {
	for _, s := range tx.seen {
		e := tx.event(ctx, seenAs(s.action, s.resource), audit.Success, nil)
		e.Policies = s.policies
		target := s.resource.ID
		if target.IsZero() {
			target = tx.Family
		}
		e.Target = target.String()
		tx.db.Reads.Put(e)
	}
}

// seenAs names the event: list.read is list.seen, and list.list lists.seen. Row-level
// security knows that of personal lists by its name.
func seenAs(action policy.Action, resource policy.Resource) string {
	noun, verb, _ := strings.Cut(string(action), ".")
	switch {
	case resource.Type == policy.ListResource && resource.Kind == policy.Personal:
		return "personal_list.seen"
	case verb == "list":
		return noun + "s.seen"
	}
	return noun + ".seen"
}

// Unabridged shows the rest of the transaction the family's whole audit log: a
// chain is checked by all its events, also those that the caller is not shown.
func (tx *Tx) Unabridged() { tx.Queue(`SELECT set_config('app.audit', 'chain', true)`) }
