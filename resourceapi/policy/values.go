package policy

import (
	"net/netip"
	"slices"

	"github.com/cedar-policy/cedar-go"
)

// question is a request in Cedar's terms. It is also the entity store of its
// own evaluation: there are only the principal, the resource and the actions.
type question struct {
	request   cedar.Request
	principal cedar.Entity
	resource  cedar.Entity
	actions   map[cedar.EntityUID]cedar.Entity
}

// Get implements cedar.EntityGetter.
func (q *question) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	switch uid {
	case q.request.Principal:
		return q.principal, true
	case q.request.Resource:
		return q.resource, true
	}
	e, ok := q.actions[uid]
	return e, ok
}

// vocabulary holds a ready Set for every subset of a handful of words, so that
// none is hashed anew on each request. Words outside it are left out.
type vocabulary struct {
	words []string
	sets  []cedar.Set
}

func newVocabulary[W ~string](words []W) vocabulary {
	v := vocabulary{sets: make([]cedar.Set, 1<<len(words))}
	for _, w := range words {
		v.words = append(v.words, string(w))
	}
	for mask := range v.sets {
		var members []cedar.Value
		for i, w := range v.words {
			if mask&(1<<i) != 0 {
				members = append(members, cedar.String(w))
			}
		}
		v.sets[mask] = cedar.NewSet(members...)
	}
	return v
}

func (v vocabulary) mask(word string) int {
	if i := slices.Index(v.words, word); i >= 0 {
		return 1 << i
	}
	return 0
}

// translator puts requests into Cedar's terms.
type translator struct {
	scopes vocabulary
	verbs  vocabulary
	rules  vocabulary
}

func newTranslator() translator {
	return translator{scopes: newVocabulary(Scopes()), verbs: newVocabulary(verbs()), rules: newVocabulary(allRules())}
}

// question translates r, which passed check, as if its principal held the
// extra scope too; "" for none.
func (t translator) question(r Request, actions map[cedar.EntityUID]cedar.Entity, extra string) *question {
	var (
		rule, _ = ruleOf(r.Action)
		family  = cedar.String(r.Principal.Family.String())
		scopes  = t.scopes.mask(extra)
		owned   = family
	)
	for _, s := range r.Principal.Scopes {
		scopes |= t.scopes.mask(s)
	}
	if r.Resource.Family != r.Principal.Family {
		owned = cedar.String(r.Resource.Family.String())
	}
	q := &question{actions: actions}
	q.principal = cedar.Entity{
		UID:        cedar.EntityUID{Type: entityType(r.Principal.Kind), ID: family + "/" + cedar.String(r.Principal.ID)},
		Attributes: principalRecord(r.Principal, family, t.scopes.sets[scopes]),
	}
	q.resource = cedar.Entity{
		UID:        cedar.EntityUID{Type: cedar.EntityType(r.Resource.Type), ID: cedar.String(r.Resource.ID.String())},
		Attributes: t.resourceRecord(r.Resource, owned),
	}
	q.request = cedar.Request{
		Principal: q.principal.UID,
		Action:    actionUID(r.Action),
		Resource:  q.resource.UID,
		Context:   t.contextRecord(r.Context, rule.scope),
	}
	return q
}

func principalRecord(p Principal, family cedar.String, scopes cedar.Set) cedar.Record {
	attrs := cedar.RecordMap{"subject": cedar.String(p.ID), "family": family, "scopes": scopes}
	if p.Kind == User {
		attrs["role"] = cedar.String(p.Role)
	}
	return cedar.NewRecord(attrs)
}

func (t translator) resourceRecord(res Resource, family cedar.String) cedar.Record {
	attrs := cedar.RecordMap{"family": family}
	switch {
	case res.listed():
		attrs["kind"] = cedar.String(res.Kind)
		attrs["owner"] = cedar.String(res.Owner)
		attrs["grants"] = set(t.verbs, res.Grants)
	case res.Type == InvitationResource:
		attrs["target_role"] = cedar.String(res.TargetRole)
	case res.Type == MemberResource:
		attrs["owner"] = cedar.String(res.Owner)
		attrs["target_role"] = cedar.String(res.TargetRole)
	}
	return cedar.NewRecord(attrs)
}

// set is the ready Set of the words.
func set[W ~string](v vocabulary, words []W) cedar.Set { return v.sets[maskOf(v, words)] }

func maskOf[W ~string](v vocabulary, words []W) int {
	mask := 0
	for _, w := range words {
		mask |= v.mask(string(w))
	}
	return mask
}

func (t translator) contextRecord(c Context, scope string) cedar.Record {
	ip := c.SourceIP.Unmap().WithZone("")
	authTime := cedar.NewDatetimeFromMillis(0)
	if !c.AuthTime.IsZero() {
		authTime = cedar.NewDatetime(c.AuthTime)
	}
	local := c.Now.In(c.Zone)
	return cedar.NewRecord(cedar.RecordMap{
		"required_scope": cedar.String(scope),
		"now":            cedar.NewDatetime(c.Now),
		"weekday":        cedar.String(weekdayOf(local)),
		"minute":         cedar.Long(clockOf(local)),
		"source_ip":      cedar.IPAddr(netip.PrefixFrom(ip, ip.BitLen())),
		"place":          cedar.String(c.Place),
		"device":         cedar.String(c.Device),
		"auth_time":      authTime,
		"acr":            cedar.String(c.ACR),
		"risk_score":     cedar.Long(c.RiskScore),
		"limited":        cedar.Boolean(c.Limited),
		"allowed":        set(t.verbs, c.Allowed),
		"rules":          set(t.rules, c.Rules),
	})
}

func entityType(k Kind) cedar.EntityType {
	switch k {
	case App:
		return "InstalledApp"
	case APIKey:
		return "ApiKey"
	case User:
		return "User"
	}
	return "Nobody" // check refuses other kinds; no policy knows this type
}

func actionUID(a Action) cedar.EntityUID {
	return cedar.EntityUID{Type: "Action", ID: cedar.String(a)}
}
