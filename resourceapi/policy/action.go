package policy

// Action is what the caller wants to do: noun.verb.
type Action string

// The actions. Reading a list's items is ListRead. ListList and the other
// collections are asked about the Family; what the collection then shows is
// the database's to filter.
const (
	FamilyCreate Action = "family.create"
	FamilyRead   Action = "family.read"
	FamilyUpdate Action = "family.update"
	FamilyDelete Action = "family.delete"

	MemberList       Action = "member.list"
	MemberRemove     Action = "member.remove"
	MemberChangeRole Action = "member.change_role"
	MemberLeave      Action = "member.leave"

	InvitationList   Action = "invitation.list"
	InvitationCreate Action = "invitation.create"
	InvitationRevoke Action = "invitation.revoke"
	InvitationAccept Action = "invitation.accept"

	ListList   Action = "list.list"
	ListCreate Action = "list.create"
	ListRead   Action = "list.read"
	ListUpdate Action = "list.update"
	ListDelete Action = "list.delete"
	ListShare  Action = "list.share" // read and change what guests are granted on it

	ItemAdd     Action = "item.add"
	ItemEdit    Action = "item.edit"
	ItemCheck   Action = "item.check" // check off and back
	ItemRemove  Action = "item.remove"
	ItemReorder Action = "item.reorder"

	AppList      Action = "app.list"
	AppInstall   Action = "app.install"
	AppUninstall Action = "app.uninstall"

	WebhookList   Action = "webhook.list"   // with what was delivered
	WebhookManage Action = "webhook.manage" // make, change, remove, and send again

	KitchenRead Action = "kitchen.read" // stores, pantry, recipes: what a family shops by, beside its lists
	KitchenKeep Action = "kitchen.keep"

	DietKeep  Action = "diet.keep"  // one's own, to read and to change
	ChildKeep Action = "child.keep" // what the family's children avoid, to read and to change

	FeedRead Action = "feed.read" // follow the changes of what one may see anyway

	AuditRead Action = "audit.read"

	RulesRead   Action = "rules.read" // the family's ready-made rules (Rules)
	RulesChange Action = "rules.change"
)

// The scopes of the API.
const (
	ScopeFamilyRead  = "family:read"
	ScopeFamilyWrite = "family:write"
	ScopeListsRead   = "lists:read"
	ScopeListsWrite  = "lists:write"
	ScopeAuditRead   = "audit:read"
)

// Scopes returns every scope of the API.
func Scopes() []string {
	return []string{ScopeFamilyRead, ScopeFamilyWrite, ScopeListsRead, ScopeListsWrite, ScopeAuditRead}
}

// rule is what is fixed about an action: the scope that it takes, and the type
// of resource that it is asked about.
type rule struct {
	action   Action
	scope    string
	resource ResourceType
}

// ruleOf is the one table that ties actions to scopes. A switch, so that the
// lookup costs nothing and there is nothing global to change.
func ruleOf(a Action) (rule, bool) {
	switch a {
	case FamilyRead, MemberList, AppList, RulesRead:
		return rule{a, ScopeFamilyRead, FamilyResource}, true
	case WebhookList, WebhookManage: // what is sent out is for those to see who decide where to
		return rule{a, ScopeFamilyWrite, FamilyResource}, true
	case InvitationList: // invitations are an admin's tool, and listing them is part of handing them out
		return rule{a, ScopeFamilyWrite, FamilyResource}, true
	case FamilyCreate, FamilyUpdate, FamilyDelete, RulesChange:
		return rule{a, ScopeFamilyWrite, FamilyResource}, true
	case DietKeep, ChildKeep: // the sensitive takes more than reading
		return rule{a, ScopeFamilyWrite, FamilyResource}, true
	case MemberRemove, MemberChangeRole, MemberLeave:
		return rule{a, ScopeFamilyWrite, MemberResource}, true
	case InvitationCreate, InvitationRevoke, InvitationAccept:
		return rule{a, ScopeFamilyWrite, InvitationResource}, true
	case AppInstall, AppUninstall:
		return rule{a, ScopeFamilyWrite, AppResource}, true
	case ListList, FeedRead, KitchenRead:
		return rule{a, ScopeListsRead, FamilyResource}, true
	case KitchenKeep:
		return rule{a, ScopeListsWrite, FamilyResource}, true
	case ListRead:
		return rule{a, ScopeListsRead, ListResource}, true
	case ListCreate, ListUpdate, ListDelete, ListShare:
		return rule{a, ScopeListsWrite, ListResource}, true
	case ItemAdd, ItemEdit, ItemCheck, ItemRemove, ItemReorder:
		return rule{a, ScopeListsWrite, ItemResource}, true
	case AuditRead:
		return rule{a, ScopeAuditRead, AuditResource}, true
	}
	return rule{}, false
}

// ResourceOf returns the type of resource that the action is asked about; ok is
// false for what is no action.
func ResourceOf(a Action) (kind ResourceType, ok bool) {
	r, ok := ruleOf(a)
	return r.resource, ok
}

// Actions returns every action.
func Actions() []Action {
	return []Action{
		FamilyCreate, FamilyRead, FamilyUpdate, FamilyDelete,
		MemberList, MemberRemove, MemberChangeRole, MemberLeave,
		InvitationList, InvitationCreate, InvitationRevoke, InvitationAccept,
		ListList, ListCreate, ListRead, ListUpdate, ListDelete, ListShare,
		ItemAdd, ItemEdit, ItemCheck, ItemRemove, ItemReorder,
		AppList, AppInstall, AppUninstall,
		WebhookList, WebhookManage,
		KitchenRead, KitchenKeep,
		DietKeep, ChildKeep,
		FeedRead,
		AuditRead,
		RulesRead, RulesChange,
	}
}
