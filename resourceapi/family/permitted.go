package family

import (
	"context"
	"slices"

	"larder/internal/id"
	"larder/resourceapi/policy"
	"larder/resourceapi/tenant"
)

// permitted lists what the caller may do in the family.
func permitted(ctx context.Context, tx *tenant.Tx) []string {
	guest := tx.Resource(policy.InvitationResource, id.ID{}) // whom most may invite, if they may at all
	guest.TargetRole = policy.Guest
	return append([]string{}, slices.Concat( // none is an empty list, and not null
		tx.Permitted(ctx, tx.FamilyResource(),
			policy.FamilyRead, policy.FamilyUpdate, policy.FamilyDelete, policy.MemberList, policy.InvitationList,
			policy.ListList, policy.AppList, policy.WebhookList, policy.WebhookManage, policy.KitchenRead, policy.KitchenKeep,
			policy.DietKeep, policy.ChildKeep, policy.FeedRead, policy.RulesRead, policy.RulesChange),
		tx.Permitted(ctx, guest, policy.InvitationCreate, policy.InvitationRevoke),
		tx.Permitted(ctx, tx.NewList(policy.Shared), policy.ListCreate),
		tx.Permitted(ctx, tx.Resource(policy.AppResource, id.ID{}), policy.AppInstall, policy.AppUninstall),
		tx.Permitted(ctx, tx.Resource(policy.AuditResource, id.ID{}), policy.AuditRead),
	)...)
}

// permitted lists what the caller may do to the member: leaving is for himself,
// and removing for everybody else.
func (m *Member) permitted(ctx context.Context, tx *tenant.Tx) []string {
	parting := policy.MemberRemove
	if m.UserID == tx.Caller.Subject {
		parting = policy.MemberLeave
	}
	return tx.Permitted(ctx, m.resource(tx, m.Role), policy.MemberChangeRole, parting)
}
