package policy

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"larder/internal/id"
)

// maxPermitted answers of Permitted are remembered.
const maxPermitted = 8192

// Asked is an action, and the ready-made rules that bear on it.
type Asked struct {
	Action Action
	Rules  []Rule
}

// permitKey is all that an answer of Permitted depends on, with the time to the
// minute. No policy is about a single list or item (Compile), so that an answer
// for one holds for all that are like it.
type permitKey struct {
	set       *Set
	principal struct {
		kind   Kind
		id     string
		family id.ID
		role   Role
		scopes int
	}
	resource struct {
		kind       ResourceType
		id, family id.ID
		listKind   string
		owner      string
		target     Role
		grants     int
	}
	context struct {
		minute, authTime   int64
		zone               *time.Location
		ip                 netip.Addr
		place, device, acr string
		risk               int64
		limited            bool
		allowed            int
	}
	asked string
}

// Permitted implements Authorizer. It is asked for every list and item that is
// shown, so what it found holds for the rest of the minute; Authorize, which
// decides what is done, remembers nothing.
func (e *Engine) Permitted(ctx context.Context, r Request, asked []Asked) []string {
	set := e.set.Load()
	key := e.translate.permitKey(set, r, asked)
	if known, ok := e.permitted.Get(key); ok {
		return known
	}
	may := []string{}
	for _, a := range asked {
		r.Action, r.Context.Rules = a.Action, a.Rules
		if d := e.Authorize(ctx, r); d.Allowed || d.StepUp != nil && d.MissingScope == "" {
			may = append(may, string(a.Action))
		}
	}
	e.permitted.Add(key, may)
	return may
}

func (t translator) permitKey(set *Set, r Request, asked []Asked) permitKey {
	k := permitKey{set: set, asked: spell(t, asked)}
	p, res, c := &r.Principal, &r.Resource, &r.Context
	k.principal.kind, k.principal.id, k.principal.family, k.principal.role = p.Kind, p.ID, p.Family, p.Role
	k.principal.scopes = maskOf(t.scopes, p.Scopes)
	k.resource.kind, k.resource.family, k.resource.listKind = res.Type, res.Family, res.Kind
	k.resource.owner, k.resource.target, k.resource.grants = res.Owner, res.TargetRole, maskOf(t.verbs, res.Grants)
	if !res.listed() {
		k.resource.id = res.ID
	}
	k.context.minute, k.context.zone, k.context.ip = c.Now.Unix()/60, c.Zone, c.SourceIP
	k.context.place, k.context.device, k.context.acr = c.Place, c.Device, c.ACR
	k.context.authTime, k.context.risk = c.AuthTime.UnixMilli(), c.RiskScore
	k.context.limited, k.context.allowed = c.Limited, maskOf(t.verbs, c.Allowed)
	return k
}

func spell(t translator, asked []Asked) string {
	var b strings.Builder
	b.Grow(16 * len(asked))
	for _, a := range asked {
		b.WriteString(string(a.Action))
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(maskOf(t.rules, a.Rules)))
		b.WriteByte(' ')
	}
	return b.String()
}
