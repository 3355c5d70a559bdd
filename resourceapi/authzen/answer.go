package authzen

import (
	"context"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// answer answers the questions, each family's in one round trip.
func (h *Decisions) answer(ctx context.Context, questions []question) ([]decision, error) {
	answers := make([]decision, len(questions))
	byFamily := make(map[id.ID][]int)
	for i, q := range questions {
		answers[i] = absent()
		switch {
		case q.kind == "" || !q.fits():
			answers[i] = no("There is no such action on this type of resource.")
		case !q.family.IsZero():
			byFamily[q.family] = append(byFamily[q.family], i)
		}
	}
	for family, asked := range byFamily {
		err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error {
			f := gather(ctx, tx)
			for _, i := range asked {
				f.ask(questions[i])
			}
			if err := f.send(ctx); err != nil {
				return err
			}
			for _, i := range asked {
				answers[i] = f.decide(ctx, questions[i])
			}
			return nil
		})
		if err != nil && !fault.Is(err, fault.NotFound) { // he has no standing there
			return nil, err
		}
	}
	return answers, nil
}

// facts are what the database says about what is asked in one family.
type facts struct {
	tx     *tenant.Tx
	self   who
	lists  map[id.ID]*tenant.List
	roles  map[string]policy.Role // of the members that something would be done to
	peers  map[who]tenant.Peer    // subjects other than the caller
	grants map[grantee][]policy.Verb

	wanted struct {
		lists  []id.ID
		people []string
		peers  []who
	}
}

// grantee is a guest on a list.
type grantee struct {
	list id.ID
	user string
}

func gather(ctx context.Context, tx *tenant.Tx) *facts {
	return &facts{
		tx: tx, self: himself(ctx),
		lists: map[id.ID]*tenant.List{}, roles: map[string]policy.Role{}, peers: map[who]tenant.Peer{}, grants: map[grantee][]policy.Verb{},
	}
}

// ask notes what must be known to answer q.
func (f *facts) ask(q question) {
	f.askThing(q)
	if q.who != f.self {
		f.wanted.peers = append(f.wanted.peers, q.who)
	}
}

func (f *facts) askThing(q question) {
	switch {
	case q.kind == policy.MemberResource:
		f.wanted.people = append(f.wanted.people, q.resource.ID)
	case !q.list.IsZero():
		f.wanted.lists = append(f.wanted.lists, q.list)
	}
}

// send fetches what was asked for.
func (f *facts) send(ctx context.Context) error {
	if f.wanted.lists != nil {
		f.lists = f.tx.Lists(f.wanted.lists)
	}
	if f.wanted.people != nil {
		f.queueRoles(f.wanted.people)
	}
	if f.wanted.peers != nil {
		f.queuePeers(f.wanted.peers)
		f.queueGrants(f.wanted.lists, f.wanted.peers)
	}
	if err := f.tx.Send(ctx); err != nil {
		return err
	}
	// What is not there needs no policy to say so.
	f.tx.Judge(ctx, policy.FamilyRead, f.tx.FamilyResource())
	return nil
}

// decide answers q: with what the caller's own request would meet, or with what
// a peer may do.
func (f *facts) decide(ctx context.Context, q question) decision {
	about, there := f.resource(q)
	if !there || !f.sees(ctx, about) {
		return absent()
	}
	if q.who == f.self {
		return rendered(f.tx.Judge(ctx, q.action, about))
	}
	peer, known := f.peers[q.who]
	if !known || !f.knows(ctx, peer, about) {
		return no("There is no such subject here.")
	}
	about.Grants = f.grants[grantee{about.ID, peer.ID}]
	if about.Type == policy.ListResource && about.ID.IsZero() {
		about.Owner = peer.ID // he would be the one who makes it
	}
	return rendered(f.tx.Suppose(ctx, peer, q.action, about))
}

// sees reports whether the caller may know of the thing, once row-level
// security let him find it.
func (f *facts) sees(ctx context.Context, about policy.Resource) bool {
	return about.Type != policy.MemberResource || f.isSelf(about.Owner) || f.tx.Can(ctx, policy.MemberList, f.tx.FamilyResource())
}

func (f *facts) isSelf(user string) bool { return f.self == who{string(policy.User), user} }

// knows reports whether the caller may know what the peer may do with the
// thing: of people who lists the members, of apps who lists the apps, and of a
// guest on a list who decides about that.
func (f *facts) knows(ctx context.Context, peer tenant.Peer, about policy.Resource) bool {
	list := about.Type == policy.ListResource || about.Type == policy.ItemResource
	there := list && !about.ID.IsZero()
	about.Type = policy.ListResource
	switch {
	case there && !f.tx.Can(ctx, policy.ListRead, about):
		return false
	case peer.Kind == policy.App:
		return f.tx.Can(ctx, policy.AppList, f.tx.FamilyResource())
	case there && peer.Role == policy.Guest && !f.tx.Can(ctx, policy.ListShare, about):
		return false
	}
	return f.tx.Can(ctx, policy.MemberList, f.tx.FamilyResource())
}

// resource is the thing for the policy. there is false for one that does not
// exist or that the caller does not see.
func (f *facts) resource(q question) (about policy.Resource, there bool) {
	about = f.tx.Resource(q.kind, id.ID{})
	switch p := q.resource.Properties; q.kind {
	case policy.FamilyResource:
		return f.tx.FamilyResource(), true
	case policy.MemberResource:
		about.Owner = q.resource.ID
		about.TargetRole, there = f.roles[q.resource.ID]
		if q.action == policy.MemberChangeRole && p.Role != nil {
			about.TargetRole = *p.Role
		}
		return about, there
	case policy.ListResource, policy.ItemResource:
		l := f.lists[q.list]
		switch {
		case l != nil && q.kind == policy.ItemResource:
			return l.Item(), true
		case l != nil:
			return l.Resource(), true
		case q.action != policy.ListCreate || q.list.IsZero():
			return about, false
		case p.Kind != nil:
			return f.tx.NewList(*p.Kind), true
		}
		return f.tx.NewList(policy.Shared), true
	case policy.InvitationResource:
		if p.Role != nil {
			about.TargetRole = *p.Role
		}
	case policy.AppResource, policy.AuditResource:
	}
	return about, true
}
