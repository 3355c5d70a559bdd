package authzen

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/jackc/pgx/v5"

	"larder/internal/fault"
	"larder/internal/id"
	"larder/internal/valid"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

const (
	defaultLimit = 50
	maxLimit     = 200
	chunk        = 200 // rows of one family that one page looks at
	maxFamilies  = 20  // that one page looks into
)

// search is the body of §8: a tuple with one part left open.
type search struct {
	tuple
	Page struct {
		Token      string `json:"token"`
		Limit      *int   `json:"limit"`
		Properties extra  `json:"properties"`
	} `json:"page"`
}

// place is where a page begins: after this key in this family.
type place struct {
	Family id.ID  `json:"f,omitzero"`
	After  string `json:"a,omitempty"`
}

// page is an answer in the making.
type page struct {
	limit   int
	results []entity
	next    *place // nil if there is no more
}

// entity is a subject, a resource or an action that was found. Its properties
// are those that a question about it needs.
type entity struct {
	Type       string            `json:"type,omitempty"`
	ID         string            `json:"id,omitempty"`
	Name       policy.Action     `json:"name,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
}

// read checks the request, of which open is what is searched for, and returns
// where its page begins.
func (h *Decisions) read(r *http.Request, open part) (q question, p *page, from place, err error) {
	var s search
	if err := decode(r, &s); err != nil {
		return q, nil, from, err
	}
	if q, err = s.read(open); err != nil {
		return q, nil, from, err
	}
	p = &page{limit: defaultLimit, results: []entity{}}
	var f valid.Form
	if s.Page.Limit != nil {
		if p.limit = *s.Page.Limit; p.limit < 1 || p.limit > maxLimit {
			f.Fault("/page/limit", "must be from 1 to 200")
		}
	}
	if s.Page.Token != "" && h.Cursors.Open(collection(r, q), s.Page.Token, &from) != nil {
		f.Fault("/page/token", "is not one that this search gave out")
	}
	return q, p, from, f.Err()
}

// collection is what a token is good for: the same search.
func collection(r *http.Request, q question) string {
	said, err := json.Marshal([]any{r.URL.Path, q.who.kind, q.who.id, q.action, q.resource})
	if err != nil {
		return r.URL.Path
	}
	return string(said)
}

func (h *Decisions) found(w http.ResponseWriter, r *http.Request, q question, p *page) error {
	var token string
	if p.next != nil {
		var err error
		if token, err = h.Cursors.Seal(collection(r, q), p.next); err != nil {
			return err
		}
	}
	return answered(w, map[string]any{"results": p.results, "page": map[string]any{"next_token": token, "count": len(p.results)}})
}

// take judges the candidates of a family, in order from the first after from,
// until the page is full or they are all judged.
func (p *page) take(from place, keys []string, judge func(i int) (entity, bool)) {
	for i, key := range keys {
		if len(p.results) == p.limit {
			p.next = &from
			return
		}
		if found, yes := judge(i); yes {
			p.results = append(p.results, found)
		}
		from.After = key
	}
	if len(keys) == chunk { // there may be more, which another page looks at
		p.next = &from
	}
}

// searchSubject answers who may do this (§8.4), as far as the caller may know.
func (h *Decisions) searchSubject(w http.ResponseWriter, r *http.Request) error {
	q, p, from, err := h.read(r, subjectID)
	if err != nil {
		return err
	}
	if ctx := r.Context(); q.fits() && !q.family.IsZero() {
		from.Family = q.family
		err := h.DB.Read(ctx, q.family, func(tx *tenant.Tx) error { return findSubjects(ctx, tx, q, from, p) })
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return h.found(w, r, q, p)
}

func findSubjects(ctx context.Context, tx *tenant.Tx, q question, from place, p *page) error {
	f := gather(ctx, tx)
	f.askThing(q)
	f.queueGrants(f.wanted.lists, nil)
	var subjects []who
	scan := func(rows pgx.Rows) error { return f.scanPeers(rows, &subjects) }
	switch {
	case q.who.kind == string(policy.User):
		tx.Queue(selectUsers, tx.Family, from.After, chunk).Query(scan)
	case q.who.kind == string(policy.App):
		tx.Queue(selectApps, tx.Family, from.After, chunk).Query(scan)
	case q.who.kind == f.self.kind && from.After == "": // a service account knows of no other
		subjects = []who{f.self}
	}
	if err := f.send(ctx); err != nil {
		return err
	}
	keys := make([]string, len(subjects))
	for i, s := range subjects {
		keys[i] = s.id
	}
	p.take(from, keys, func(i int) (entity, bool) {
		q.who = subjects[i]
		return entity{Type: q.who.kind, ID: q.who.id}, f.decide(ctx, q).Decision
	})
	return nil
}

// searchResource answers with what this may be done (§8.5), among the things
// that the caller sees: in the family that is named, or in all of his.
func (h *Decisions) searchResource(w http.ResponseWriter, r *http.Request) error {
	q, p, from, err := h.read(r, resourceID)
	if err != nil {
		return err
	}
	if !q.fits() {
		return h.found(w, r, q, p)
	}
	ctx, families := r.Context(), []id.ID{q.family}
	if q.family.IsZero() {
		if families, err = h.mine(ctx, from.Family); err != nil {
			return err
		}
	}
	for i, family := range families {
		if i == maxFamilies {
			p.next = &place{Family: family}
			break
		}
		if family != from.Family {
			from = place{Family: family}
		}
		err := h.DB.Read(ctx, family, func(tx *tenant.Tx) error { return findResources(ctx, tx, q, from, p) })
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if p.next != nil {
			break
		}
	}
	return h.found(w, r, q, p)
}

// mine lists the caller's families from this one on, and one more than a page
// looks into.
func (h *Decisions) mine(ctx context.Context, from id.ID) ([]id.ID, error) {
	var families []id.ID
	err := h.DB.Mine(ctx, func(tx *tenant.Tx) error {
		tenant.Rows(tx, &families, func(family *id.ID, row pgx.Row) error { return row.Scan(family) }, selectMine, from.String(), maxFamilies+1)
		return tx.Send(ctx)
	})
	return families, err
}

func findResources(ctx context.Context, tx *tenant.Tx, q question, from place, p *page) error {
	f := gather(ctx, tx)
	if q.who != f.self {
		f.queuePeers([]who{q.who})
		f.queueGrants(nil, []who{q.who})
	}
	var things []thing
	f.queueThings(q, from.After, &things)
	if err := f.send(ctx); err != nil {
		return err
	}
	keys := make([]string, len(things))
	for i, t := range things {
		keys[i] = t.id
	}
	p.take(from, keys, func(i int) (entity, bool) {
		found, about := f.candidate(q, things[i])
		return found, f.listed(ctx, about) && f.decide(ctx, about).Decision
	})
	return nil
}

// candidate is the question about one thing that was found.
func (f *facts) candidate(q question, t thing) (entity, question) {
	found := entity{Type: q.resource.Type, ID: t.id, Properties: map[string]string{"family_id": f.tx.Family.String()}}
	q.resource.ID, q.family, q.list = t.id, f.tx.Family, t.list
	switch q.kind {
	case policy.FamilyResource:
		found.Properties = nil
	case policy.ListResource:
		f.lists[t.list] = f.tx.Seen(t.list, t.kind, t.owner, t.createdBy)
	case policy.ItemResource:
		f.lists[t.list] = f.tx.Seen(t.list, t.kind, t.owner, t.createdBy)
		found.Properties["list_id"] = t.list.String()
	case policy.MemberResource:
		f.roles[t.id] = t.role
		if q.resource.Properties.Role != nil {
			found.Properties["role"] = string(*q.resource.Properties.Role)
		}
	case policy.InvitationResource:
		q.resource.Properties.Role = &t.role
		found.Properties["role"] = string(t.role)
	case policy.AppResource, policy.AuditResource:
	}
	return found, q
}

// listed reports whether the caller would find the thing by himself: a search
// is no way around the right to look.
func (f *facts) listed(ctx context.Context, q question) bool {
	switch q.kind {
	case policy.ListResource, policy.ItemResource:
		return f.tx.Can(ctx, policy.ListRead, f.lists[q.list].Resource())
	case policy.InvitationResource:
		return f.tx.Can(ctx, policy.InvitationList, f.tx.FamilyResource())
	case policy.AppResource:
		return f.tx.Can(ctx, policy.AppList, f.tx.FamilyResource())
	case policy.FamilyResource, policy.MemberResource, policy.AuditResource:
	}
	return true
}

// searchAction answers what may be done with one thing (§8.6), on one page.
func (h *Decisions) searchAction(w http.ResponseWriter, r *http.Request) error {
	q, p, _, err := h.read(r, actionName)
	if err != nil {
		return err
	}
	var questions []question
	for _, a := range policy.Actions() {
		if q.action = a; q.fits() {
			questions = append(questions, q)
		}
	}
	answers, err := h.answer(r.Context(), questions)
	if err != nil {
		return err
	}
	for i, a := range answers {
		if a.Decision {
			p.results = append(p.results, entity{Name: questions[i].action})
		}
	}
	return h.found(w, r, q, p)
}
