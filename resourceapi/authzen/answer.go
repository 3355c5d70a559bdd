package authzen

import (
	"context"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const selectRoles = `SELECT user_id, role FROM grocery.family_members WHERE family_id = $1 AND user_id = ANY ($2)`

// answer answers the questions, each family's in one round trip.
func (h *Decisions) answer(ctx context.Context, questions []question) ([]policy.Decision, error) {
	answers := make([]policy.Decision, len(questions))
	byFamily := make(map[id.ID][]int)
	for i, q := range questions {
		byFamily[q.family] = append(byFamily[q.family], i)
	}
	for family, asked := range byFamily {
		err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error { return judge(ctx, tx, questions, asked, answers) })
		switch {
		case fault.Is(err, fault.NotFound): // he has no standing there
			for _, i := range asked {
				answers[i] = absent()
			}
		case err != nil:
			return nil, err
		}
	}
	return answers, nil
}

// absent is the answer for what is not there, or not for the caller to know.
func absent() policy.Decision {
	return policy.Decision{Reason: "There is no such thing here."}
}

// judge answers those of the questions that are about the family of tx.
func judge(ctx context.Context, tx *tenant.Tx, questions []question, asked []int, answers []policy.Decision) error {
	f := facts{tx: tx, roles: map[string]policy.Role{}}
	var lists []id.ID
	var people []string
	for _, i := range asked {
		switch q := questions[i]; {
		case !q.thing.IsZero():
			lists = append(lists, q.thing)
		case q.resource.Type == "member":
			people = append(people, q.resource.ID)
		}
	}
	if lists != nil {
		f.lists = tx.Lists(lists)
	}
	if people != nil {
		tx.Queue(selectRoles, tx.Family, people).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var user string
				var role policy.Role
				if err := rows.Scan(&user, &role); err != nil {
					return err
				}
				f.roles[user] = role
			}
			return rows.Err()
		})
	}
	if err := tx.Send(ctx); err != nil {
		return err
	}
	for _, i := range asked {
		q := questions[i]
		if kind, ok := policy.ResourceOf(q.action); !ok || kind != types()[q.resource.Type] {
			answers[i] = policy.Decision{Reason: "There is no such action on this type of resource."}
			tx.Judge(ctx, policy.FamilyRead, tx.FamilyResource())
			continue
		}
		about, there := f.resource(q)
		answers[i] = tx.Judge(ctx, q.action, about)
		if !there || about.Type == policy.MemberResource && about.Owner != tx.Caller.Subject && !tx.Can(ctx, policy.MemberList, tx.FamilyResource()) {
			answers[i] = absent()
		}
	}
	return nil
}

// facts are what the database says about the things that are asked about.
type facts struct {
	tx    *tenant.Tx
	lists map[id.ID]*tenant.List
	roles map[string]policy.Role
}

// resource is the thing for the policy. there is false for one that does not
// exist or that the caller does not see.
func (f facts) resource(q question) (about policy.Resource, there bool) {
	about = f.tx.Resource(types()[q.resource.Type], id.ID{})
	switch about.Type {
	case policy.FamilyResource:
		return f.tx.FamilyResource(), true
	case policy.MemberResource:
		about.Owner = q.resource.ID
		about.TargetRole, there = f.roles[q.resource.ID]
		if q.action == policy.MemberChangeRole && q.resource.Properties.Role != "" {
			about.TargetRole = q.resource.Properties.Role
		}
		return about, there
	case policy.ListResource, policy.ItemResource:
		about.Kind = policy.Shared
		if l := f.lists[q.thing]; l != nil && about.Type == policy.ItemResource {
			return l.Item(), true
		} else if l != nil {
			return l.Resource(), true
		}
		if q.action != policy.ListCreate {
			return about, false
		}
		if q.resource.Properties.Kind != "" {
			about.Kind = q.resource.Properties.Kind
		}
		return f.tx.NewList(about.Kind), true
	case policy.InvitationResource:
		about.TargetRole = q.resource.Properties.Role
	case policy.AppResource, policy.AuditResource:
	}
	return about, true
}
