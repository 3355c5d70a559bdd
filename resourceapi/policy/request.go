package policy

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"larder/internal/id"
)

// Authorizer decides requests. Engine is the one for production.
type Authorizer interface {
	Authorize(ctx context.Context, r Request) Decision
	// Permitted returns those of the actions that Authorize would allow, if need
	// be after a fresh or stronger sign-in. Action and Context.Rules of r are left
	// to asked. The answer is not the caller's to change.
	Permitted(ctx context.Context, r Request, asked []Asked) []string
}

// Role is what a user is in one family.
type Role string

// The roles. None is that of a user who is no member of the family.
const (
	None   Role = ""
	Admin  Role = "admin"
	Member Role = "member"
	Guest  Role = "guest"
)

// Kind is what sort of principal calls.
type Kind string

// The kinds of principal.
const (
	User   Kind = "user"    // a person, through whichever client
	App    Kind = "app"     // an installed client that acts for itself
	APIKey Kind = "api_key" // a service account's key
)

// Principal is who asks, within one family.
type Principal struct {
	Kind   Kind
	ID     string   // the user's subject, the client_id, or the key's service account
	Family id.ID    // the family in which Role was read, the app is installed, or the key was made
	Role   Role     // of a user; None for an app or a key
	Scopes []string // the ceiling: the token's, for an app already cut down to its installation's
}

// Verb is one thing that a guest was granted on a list.
type Verb string

// The verbs. Each lets the guest see the list; Manage stands for all of them
// and renaming the list besides.
const (
	View   Verb = "view"
	Check  Verb = "check"
	Add    Verb = "add"
	Edit   Verb = "edit" // change, move and remove items
	Manage Verb = "manage"
)

// ResourceType is what sort of thing is acted on.
type ResourceType string

// The resource types.
const (
	FamilyResource     ResourceType = "Family"
	MemberResource     ResourceType = "Member"
	InvitationResource ResourceType = "Invitation"
	ListResource       ResourceType = "List"
	ItemResource       ResourceType = "Item"
	AppResource        ResourceType = "App"
	AuditResource      ResourceType = "Audit"
)

// The kinds of list.
const (
	Shared   = "shared"
	Personal = "personal"
)

// Resource is what is acted on. Kind, Owner and Grants of an item are those of
// its list. Fields that do not belong to the type are left empty.
type Resource struct {
	Type       ResourceType
	ID         id.ID  // may be zero for a thing that is about to be made
	Family     id.ID  // the family that it belongs to; of a Family its own id
	Kind       string // of a list: Shared or Personal
	Owner      string // of a list: the subject of the user who made it, "" if a machine did; of a Member: his subject
	Grants     []Verb // of a list: what the calling guest was granted on it, nobody else's
	TargetRole Role   // of a Member: the role that he is to get, or holds when he is removed; of an Invitation: that it invites to
}

// Unknown is the value of a textual attribute that nobody could establish.
const Unknown = "unknown"

// RiskUnknown is the risk score of a request that nobody scored.
const RiskUnknown int64 = -1

// Where a request comes from, as far as the family named its home networks.
const (
	Home = "home"
	Away = "away"
)

// What the identity provider says of a device.
const (
	KnownDevice = "known"
	NewDevice   = "new"
)

// TwoFactors is the acr of a sign-in with a second factor.
const TwoFactors = "urn:larder:acr:mfa"

// RiskOf is the score that stands for the word of the identity provider: low,
// medium or high; RiskUnknown for any other.
func RiskOf(word string) int64 {
	switch word {
	case "low":
		return 10
	case "medium":
		return 50
	case "high":
		return 90
	}
	return RiskUnknown
}

// Context is the circumstances of a request. Every attribute is mandatory;
// one that is not known says so. A zero AuthTime means that no person
// authenticated (a machine) and fails every rule on freshness.
type Context struct {
	Now       time.Time
	Zone      *time.Location // the family's, in which Now has a weekday and a time of day
	SourceIP  netip.Addr     // netip.IPv6Unspecified() when unknown
	Place     string         // Home, Away or Unknown
	Device    string         // KnownDevice, NewDevice or Unknown
	AuthTime  time.Time
	ACR       string
	RiskScore int64 // 0 to 100, or RiskUnknown
	// Limited says that a person narrowed the token down to some lists (RFC
	// 9396). Allowed is what it may do on the resource then.
	Limited bool
	Allowed []Verb
	// Rules are the family's ready-made rules that bear on the request
	// (Rules.For).
	Rules []Rule
}

// UnknownContext returns circumstances of which only the time is known.
func UnknownContext(now time.Time) Context {
	return Context{
		Now: now, Zone: time.UTC, SourceIP: netip.IPv6Unspecified(), Place: Unknown, Device: Unknown, ACR: Unknown, RiskScore: RiskUnknown,
	}
}

// Request is one question.
type Request struct {
	Principal Principal
	Action    Action
	Resource  Resource
	Context   Context
}

// Ids of what decided when no policy did.
const (
	DefaultDeny      = "default_deny"      // no policy permits it
	MalformedRequest = "malformed_request" // an attribute is missing or makes no sense: a defect of ours
	EvaluationError  = "evaluation_error"  // a policy could not be evaluated: a defect of the policy
)

// Decision is the answer.
type Decision struct {
	Allowed  bool
	Policies []string // @id of the policies that decided, in the order of the files
	Reason   string   // @reason of the first of them; for the 403 and the audit log
	// Remedy is what would help, in words, when the answer is no.
	Remedy string
	// MissingScope and StepUp say what would turn a denial into a yes; they
	// are empty when it would stay a no all the same.
	MissingScope string  // RFC 6750 §3.1, insufficient_scope
	StepUp       *StepUp // RFC 9470
}

// StepUp is the authentication that a policy asks for.
type StepUp struct {
	ACRValues []string
	MaxAge    time.Duration // 0 when any age will do
}

// check reports what is wrong with the request. A request that fails here is
// never shown to Cedar: a forbid whose condition meets a missing attribute is
// skipped, and so would allow.
func (r Request) check() error {
	rule, ok := ruleOf(r.Action)
	p, res, c := r.Principal, r.Resource, r.Context
	switch {
	case !ok:
		return errors.New("unknown action")
	case rule.resource != res.Type:
		return errors.New("the action does not apply to this type of resource")
	case p.ID == "":
		return errors.New("the principal has no id")
	case p.Family.IsZero() || res.Family.IsZero():
		return errors.New("no family")
	case p.Kind != User && p.Kind != App && p.Kind != APIKey:
		return errors.New("unknown kind of principal")
	case !known(p.Role) || !known(res.TargetRole):
		return errors.New("unknown role")
	case p.Kind != User && p.Role != None:
		return errors.New("only a user has a role")
	case res.listed() && res.Kind != Shared && res.Kind != Personal:
		return errors.New("unknown kind of list")
	case !res.listed() && (res.Kind != "" || len(res.Grants) > 0):
		return errors.New("only a list has a kind and grants")
	case res.Type == MemberResource && res.Owner == "":
		return errors.New("a member has no subject")
	case slices.ContainsFunc(res.Grants, func(v Verb) bool { return !slices.Contains(verbs(), v) }):
		return errors.New("unknown verb")
	default:
		return c.check()
	}
}

func (c Context) check() error {
	switch {
	case c.Now.IsZero() || c.Zone == nil:
		return errors.New("no time")
	case !c.SourceIP.IsValid(), c.Device == "", c.ACR == "":
		return errors.New("a circumstance is missing")
	case c.Place != Home && c.Place != Away && c.Place != Unknown:
		return errors.New("unknown place")
	case slices.ContainsFunc(c.Rules, func(r Rule) bool { return !slices.Contains(allRules(), r) }):
		return errors.New("unknown rule")
	case !c.Limited && len(c.Allowed) > 0:
		return errors.New("a token without a limit has nothing that it is limited to")
	case slices.ContainsFunc(c.Allowed, func(v Verb) bool { return !slices.Contains(verbs(), v) }):
		return errors.New("unknown verb in the limit")
	case c.RiskScore < RiskUnknown || c.RiskScore > 100:
		return errors.New("the risk score is out of range")
	}
	return nil
}

// listed reports whether r is a list or stands on one.
func (r Resource) listed() bool { return r.Type == ListResource || r.Type == ItemResource }

func known(r Role) bool { return r == None || r == Admin || r == Member || r == Guest }

func verbs() []Verb { return []Verb{View, Check, Add, Edit, Manage} }

// IsVerb reports whether v is a verb.
func IsVerb(v Verb) bool { return slices.Contains(verbs(), v) }

// Grantable reports whether the words are what can be granted on a list: some
// verbs, and no more than there are.
func Grantable(words []string) bool {
	return len(words) > 0 && len(words) <= len(verbs()) && !slices.ContainsFunc(words, func(w string) bool { return !IsVerb(Verb(w)) })
}
